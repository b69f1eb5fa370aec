"""PlaceholderLayer: it stands in nets, is saved, shown and replaced, and never computes."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from specimens import PLACEHOLDERS, Specimen

from netdsl import (
    DeclarationError,
    Export,
    Import,
    Information,
    LinearLayer,
    NetChain,
    NetExtract,
    NetGraph,
    NetInitialize,
    NetPort,
    NetReplacePart,
    NetTrain,
    PlaceholderLayer,
    Ramp,
    Rule,
    Tanh,
    UnsupportedError,
)


def net():
    norm = PlaceholderLayer("GroupNorm", {"groups": 2}, Arrays={"Scale": [1.0, 2.0]}, Input=4, Output=4)
    return NetInitialize(NetChain({"a": LinearLayer(4), "norm": norm, "b": LinearLayer(1)}, Input=2))


def test_it_refuses_to_compute_by_its_tag():
    text = (
        "Layer 'norm' of this NetChain is PlaceholderLayer('GroupNorm'), which stands for an operation that is not there, and can be "
        "neither evaluated nor trained. Put a layer in its place: NetReplacePart(net, {'norm': layer})."
    )
    for attempt in (
        lambda: net()([1.0, 2.0]),
        lambda: NetTrain(net(), Rule([[1.0, 2.0]], [[1.0]]), TrainingProgressReporting=None),
    ):
        with pytest.raises(UnsupportedError) as caught:
            attempt()
        assert str(caught.value) == text
    with pytest.raises(UnsupportedError, match=r"^PlaceholderLayer\(\) stands for an operation that is not there"):
        PlaceholderLayer()([1.0])
    made = net()
    with pytest.raises(UnsupportedError, match=r"PlaceholderLayer\('GroupNorm'\)"):
        made.function()(made.arrays, {}, np.ones((1, 2), np.float32))
    nested = NetChain([NetChain({"x": PlaceholderLayer("T")})])
    with pytest.raises(UnsupportedError, match=r"Layer '1/x' .* NetReplacePart\(net, \{\('1', 'x'\): layer\}\)"):
        nested(1.0)


def test_surgery():
    made = net()
    assert NetExtract(made, ["norm", "Scale"]).tolist() == [1, 2]
    assert NetExtract(made, ["norm", "Tag"]) == "GroupNorm"
    assert NetExtract(made, ["norm", "Parameters"]) == {"groups": 2}
    assert isinstance(made["norm"], PlaceholderLayer)
    whole = NetReplacePart(made, {"norm": Tanh})
    np.testing.assert_allclose(
        whole([1.0, 2.0]),
        made.arrays["b", "Weights"] @ np.tanh(made.arrays["a", "Weights"] @ np.array([1.0, 2.0])),
        rtol=1e-5,
    )
    nested = NetChain([NetChain({"x": PlaceholderLayer("T")}), Ramp], Input=2)
    assert NetReplacePart(nested, {("1", "x"): Ramp})([-1.0, 2.0]).tolist() == [0, 2]
    changed = NetReplacePart(made, {("norm", "Scale"): [3.0, 4.0]})
    assert NetExtract(changed, ["norm", "Scale"]).tolist() == [3, 4]


def test_arrays_and_ports():
    made = net()
    assert made["norm"].arrays["Scale",].tolist() == [1, 2]
    assert Information(made, "ArraysTotalElementCount") == 2 * 4 + 4 + 2 + 4 + 1
    layer = PlaceholderLayer("Op", Arrays=["W"], InputPorts=["a", "b"], OutputPorts=["c", "d"], a=2, d=[3, 4])
    assert layer.missing == [("W",)]
    assert (layer.input_names, layer.output_names) == (("a", "b"), ("c", "d"))
    assert layer.port_type("d").sizes == (3, 4)
    graph = NetGraph({"op": layer, "t": Tanh}, [(NetPort("op", "d"), "t")])
    assert graph.port_type("Output").sizes == (3, 4)
    assert layer.changed(Tag="Other").arrays == {}
    assert made["norm"].changed(Tag="Other").arrays["Scale",].tolist() == [1, 2]


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.int64])
def test_files_hold_it_with_its_arrays(tmp_path, dtype):
    made = NetChain([PlaceholderLayer("Op", {"axes": [0, 1]}, Arrays={"W": np.ones((2, 2), dtype), "later": np.ones(1)}), Ramp])
    Export(tmp_path / "net.netdsl", made)
    back = Import(tmp_path / "net.netdsl")
    assert back == made
    assert back.arrays["1", "W"].dtype == made.arrays["1", "W"].dtype


@pytest.mark.parametrize("specimen", PLACEHOLDERS, ids=str)
def test_specimens_are_shown_and_stored(specimen: Specimen, tmp_path):
    made = specimen.make()
    Export(tmp_path / "net.netdsl", made)
    assert Import(tmp_path / "net.netdsl") == made
    assert "PlaceholderLayer" in str(made)
    assert "PlaceholderLayer" in made._repr_html_()
    assert str(NetChain([made]) if len(made.input_names) == 1 else made)


def test_refusals():
    with pytest.raises(
        DeclarationError, match="The Parameters parameter of PlaceholderLayer must be a dict of values that do not change"
    ):
        PlaceholderLayer("Op", {"a": np.ones(2)})
    with pytest.raises(DeclarationError, match="The array W of PlaceholderLayer must be an array of numbers"):
        PlaceholderLayer("Op", Arrays={"W": "text"})
