"""Pictures of nets: nothing overlaps, every wire ends at its boxes, texts fit, SVG and figure say the same."""

import time
import xml.etree.ElementTree as ElementTree
from itertools import combinations, pairwise

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from specimens import SPECIMENS

from netdsl import (
    CatenateLayer,
    ConvolutionLayer,
    CrossEntropyLossLayer,
    DeclarationError,
    Information,
    LinearLayer,
    NetArray,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetGraph,
    NetPort,
    Plus,
    Ramp,
    SoftmaxLayer,
)
from netdsl.display.graphic.items import Item, Link
from netdsl.display.graphic.layered import placed
from netdsl.display.graphic.shapes import Box, Label, text_width


def skips(count):
    """A graph of blocks, each with a way round."""
    layers, edges, before = {"start": LinearLayer(4)}, [], "start"
    for i in range(count):
        layers |= {f"a{i}": Ramp, f"b{i}": LinearLayer(4), f"s{i}": Plus}
        edges += [(before, f"a{i}", f"b{i}"), ([f"b{i}", before], f"s{i}")]
        before = f"s{i}"
    return NetGraph(layers, edges, Input=4)


def branches(count):
    names = [f"b{i}" for i in range(count)]
    layers = {"start": LinearLayer(4), **{name: LinearLayer(2) for name in names}, "join": CatenateLayer()}
    return NetGraph(layers, [("start", names), (names, "join")], Input=3)


TRAINING = NetGraph(
    {"net": NetChain([ConvolutionLayer(2, 2), Ramp, 3, SoftmaxLayer()]), "loss": CrossEntropyLossLayer("Index")},
    [
        NetPort("Input") >> "net" >> NetPort("loss", "Input"),
        (NetPort("Target"), NetPort("loss", "Target")),
        ("net", NetPort("Probabilities")),
    ],
    Input=NetEncoder("Image", [8, 8]),
)
NETS = {
    "long chain": NetChain([Ramp, 4] * 50, Input=4),
    "skips": skips(3),
    "many skips": skips(20),
    "branches": branches(200),
    "training": TRAINING,
    "odd names": NetChain({'<a & "b">': 3, "a\x01b": Ramp, "x" * 300: 2, "层": 1}, Input=2),
} | {specimen.name: specimen.make() for specimen in SPECIMENS if len(specimen.make().nets) > 0}
BOTH = [(name, full) for name in NETS for full in (False, True)]


def graphic(net, full=False):
    return Information(net, "FullSummaryGraphic" if full else "SummaryGraphic")


def inside(path, other):
    return path and path[0] != "" and other[: len(path)] == path


def paths(net, full, path=()):
    """The parts that are drawn."""
    for name, part in net.nets.items():
        yield (*path, name)
        if full:
            yield from paths(part, full, (*path, name))


@pytest.mark.parametrize(("name", "full"), BOTH)
def test_every_part_is_drawn_once_and_nothing_overlaps(name, full):
    net = NETS[name]
    boxes = graphic(net, full).drawing.boxes
    drawn = [path for path in boxes if path and path[0] != ""]
    assert sorted(drawn) == sorted(paths(net, full)) if net.parts() is not None or full else drawn == []
    ports = [("", "Input", port) for port in net.input_names] + [("", "Output", port) for port in net.output_names]
    assert [path for path in boxes if path and path[0] == ""] == ports or set(ports) <= set(boxes)
    for (path, a), (other, b) in combinations(boxes.items(), 2):
        apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
        within = b.x > a.x and b.y > a.y and b.x + b.width < a.x + a.width and b.y + b.height < a.y + a.height
        around = a.x > b.x and a.y > b.y and a.x + a.width < b.x + b.width and a.y + a.height < b.y + b.height
        if path == () or inside(path, other):
            assert within or path == ()
        elif other == () or inside(other, path):
            assert around or other == ()
        else:
            assert apart, (path, other)


@pytest.mark.parametrize(("name", "full"), BOTH)
def test_every_wire_leads_from_border_to_border_and_through_no_box(name, full):
    drawing = graphic(NETS[name], full).drawing
    for source, target, points in drawing.wires:
        for path, (x, y), below in ((source, points[0], True), (target, points[-1], False)):
            box = drawing.boxes.get(path)
            if box is not None and path != ():
                assert box.x - 0.01 <= x <= box.x + box.width + 0.01
                assert y == pytest.approx(box.y + box.height if below else box.y, abs=0.01)
        for path, box in drawing.boxes.items():
            if path in (source, target, ()) or inside(path, source) or inside(path, target):
                continue
            for (a, b), (c, d) in pairwise(points):
                if a == c:  # the upright stretches; the bent ones stay between the ranks
                    crosses = box.x < a < box.x + box.width and min(b, d) < box.y + box.height and max(b, d) > box.y
                    assert not crosses, (source, target, path)


@pytest.mark.parametrize(("name", "full"), BOTH)
def test_all_texts_fit(name, full):
    drawing = graphic(NETS[name], full).drawing
    font = FontProperties(family="DejaVu Sans")
    cards = [shape for shape in drawing.shapes if isinstance(shape, Box) and shape.hint]
    for label in (shape for shape in drawing.shapes if isinstance(shape, Label)):
        wide = text_width(label.text, label.size)
        if label.text.isascii():
            measured = TextPath((0, 0), label.text.replace("$", r"\$"), size=label.size, prop=font).get_extents()
            assert measured.x1 <= wide + 0.6
        assert label.x >= 0
        assert label.x + wide <= drawing.width
        for box in cards:
            if box.x < label.x < box.x + box.width and box.y < label.y - 4 < box.y + box.height:
                assert label.x + wide <= box.x + box.width, (label.text, box.hint)


@pytest.mark.parametrize("name", list(NETS))
def test_the_svg_is_xml_with_the_same_texts(name):
    made = graphic(NETS[name], True)
    tree = ElementTree.fromstring(made.svg)
    texts = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert len(texts) == sum(isinstance(shape, Label) for shape in made.drawing.shapes)
    assert made._repr_svg_() == made.svg


def test_names_are_escaped_and_long_ones_cut():
    svg = graphic(NETS["odd names"]).svg
    assert '&lt;a &amp; "b"&gt;' in svg
    assert "\x01" not in svg
    assert "x…<" in svg


def test_the_figure_draws_every_shape_of_the_svg():
    made = graphic(TRAINING, True)
    axes = made.figure().axes[0]
    labels = [shape for shape in made.drawing.shapes if isinstance(shape, Label)]
    assert sorted(text.get_text() for text in axes.texts) == sorted(label.text for label in labels)
    assert len(axes.patches) == len(made.drawing.shapes) - len(labels)
    assert tuple(made.figure().get_size_inches() * 96) == pytest.approx((made.drawing.width, made.drawing.height))


def test_what_the_boxes_say():
    made = graphic(TRAINING)
    texts = [shape.text for shape in made.drawing.shapes if isinstance(shape, Label)]
    assert {
        "image · 3\u00d78\u00d78",
        "loss",
        "CrossEntropyLoss 'Index'",
        "NetChain of 4 layers",
        "real",
        "Target",
        "1..3",
    } <= set(texts)
    assert repr(made) == "<SummaryGraphic of a NetGraph: 6 boxes, 5 wires>"
    layer = LinearLayer(3, Weights=NetArray("w"))
    shared = graphic(NetChain([layer, layer, Ramp], Input=3, Output=NetDecoder("Class", ["a", "b", "c"])))
    texts = [shape.text for shape in shared.drawing.shapes if isinstance(shape, Label)]
    assert texts.count("shared w") == 2
    assert "class · 3" in texts


def test_ways_round_leave_the_column_straight():
    boxes = graphic(skips(3)).drawing.boxes
    middles = {round(box.x + box.width / 2, 3) for box in boxes.values()}
    assert len(middles) == 1


def test_long_chains_stand_in_columns():
    drawing = graphic(NETS["long chain"]).drawing
    assert drawing.height < 1300
    assert drawing.width < 2 * drawing.height


def test_files(tmp_path):
    made = graphic(NetChain([Ramp, 2], Input=3))
    for ending in ("svg", "png", "pdf"):
        assert made.save(tmp_path / f"net.{ending}") == tmp_path / f"net.{ending}"
        assert (tmp_path / f"net.{ending}").stat().st_size > 500
    with pytest.raises(DeclarationError, match=r"^The picture of a net is saved as \.svg, \.png or \.pdf\. Got 'net\.bmp'\.$"):
        made.save("net.bmp")


def test_wires_cross_only_where_they_must():
    items = [Item(40, 20) for _ in range(6)]
    place = placed(items, [Link(0, "", 4, ""), Link(1, "", 3, ""), Link(2, "", 5, "")])
    order = sorted((0, 1, 2), key=place.x.__getitem__)
    assert [{0: 4, 1: 3, 2: 5}[at] for at in order] == sorted((3, 4, 5), key=place.x.__getitem__)


@pytest.mark.parametrize("net", [NetChain([Ramp, 4] * 500, Input=4), skips(333), branches(1000)], ids=["chain", "skips", "wide"])
def test_a_thousand_layers_take_seconds(net):
    start = time.perf_counter()
    assert graphic(net, True).svg
    assert time.perf_counter() - start < 10
