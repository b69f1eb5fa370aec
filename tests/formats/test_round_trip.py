"""What Export writes, Import gives back: equal nets, equal bits, equal bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from specimens import CODERS, PLACEHOLDERS, SPECIMENS, Coder, Specimen, initialized

from netdsl import (
    All,
    Automatic,
    CatenateLayer,
    DeclarationError,
    DropoutLayer,
    ElementwiseLayer,
    EmbeddingLayer,
    FlattenLayer,
    FlaxLayer,
    FormatError,
    FunctionLayer,
    LinearLayer,
    LongShortTermMemoryLayer,
    NetArray,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetPort,
    PartError,
    PoolingLayer,
    Ramp,
    ReshapeLayer,
    Restricted,
    Rule,
    SequenceLastLayer,
    Tanh,
    ThreadingLayer,
    TotalLayer,
    UnsupportedError,
)
from netdsl.containers import NetGraph as Graph
from netdsl.declarations import Declared
from netdsl.decoders import DECODERS
from netdsl.encoders import ENCODERS
from netdsl.formats import Export, Import
from netdsl.formats.specification import NETS
from netdsl.functions import Function
from netdsl.nets import Net
from netdsl.symbols import Symbol


def functions_of(net: Net) -> dict[str, Callable[..., Any]]:
    """Names for the callables that a net holds and netdsl has no name for."""
    found: list[Any] = []

    def visit(thing: Declared) -> None:
        for value in thing.values_of_parameters().values():
            if callable(value) and not isinstance(value, (Function, Symbol, Declared)) and value not in found:
                found.append(value)
        if isinstance(thing, Net):
            for inner in (*thing.nets.values(), *(p for p in thing.ports.values() if isinstance(p, Declared))):
                visit(inner)

    visit(net)
    return {f"f{i}": f for i, f in enumerate(found)}


def round_trip(net: Net, folder: Path) -> Net:
    functions = functions_of(net)
    first, second = folder / "first.netdsl", folder / "second.netdsl"
    Export(first, net, Functions=functions)
    back = Import(first, Functions=functions)
    assert type(back) is type(net)
    assert back == net
    assert repr(back) == repr(net)
    assert list(back.array_table()) == list(net.array_table())
    assert (back.input_names, back.output_names) == (net.input_names, net.output_names)
    Export(second, back, Functions=functions)
    assert second.read_bytes() == first.read_bytes()
    return back


STORED = [specimen for specimen in SPECIMENS if specimen.name != "flax module"]


def test_a_module_of_flax_is_refused_by_its_place(tmp_path: Path) -> None:
    net = NetChain([next(specimen.make() for specimen in SPECIMENS if specimen.name == "flax module")])
    with pytest.raises(DeclarationError, match="FlaxLayer"):
        Export(tmp_path / "net.netdsl", net)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("specimen", STORED, ids=str)
def test_specimens(specimen: Specimen, tmp_path: Path) -> None:
    round_trip(specimen.make(), tmp_path)
    back = round_trip(initialized(specimen), tmp_path)
    assert back.initialized
    for path, value in initialized(specimen).array_table().items():
        assert np.asarray(back.array_table()[path]).tobytes() == np.asarray(value).tobytes()


@pytest.mark.parametrize("coder", CODERS, ids=str)
def test_coders(coder: Coder, tmp_path: Path) -> None:
    made = coder.make()
    net = FunctionLayer(Tanh, Ports={"Input" if type(made).__name__.endswith("Encoder") else "Output": made})
    assert made in round_trip(net, tmp_path).ports.values()


def test_every_class_is_covered() -> None:
    nets = {type(net).__name__ for specimen in (*SPECIMENS, *PLACEHOLDERS) for net in _all_nets(specimen.make())}
    assert set(NETS) - {"FlaxLayer"} <= nets
    assert {(type(c.make())) for c in CODERS} == {*ENCODERS.values(), *DECODERS.values()}


def test_flax_modules_are_refused(tmp_path: Path) -> None:
    from flax import nnx

    net = NetChain([FlaxLayer(nnx.Linear(4, 3, rngs=nnx.Rngs(0)))])
    with pytest.raises(DeclarationError, match=r"layer '1' \(FlaxLayer\): its Module <Linear> cannot be stored"):
        Export(tmp_path / "net.netdsl", net)


def _all_nets(net: Net) -> list[Net]:
    return [net, *(inner for part in net.nets.values() for inner in _all_nets(part))]


def labels() -> list[Any]:
    return [
        7,
        2.0,
        True,
        "1",
        "é\ud800",
        10**60,
        -0.5,
        None,
        ("a", 1),
        b"\x00\xff",
        frozenset({"x", 2}),
        Automatic,
        Rule("a", 1),
        math.inf,
        -math.inf,
        1e300,
        5e-324,
    ]


def test_labels_of_every_kind_stay_apart(tmp_path: Path) -> None:
    net = LinearLayer(len(labels()), Output=NetDecoder("Class", labels()))
    kept = round_trip(net, tmp_path).ports["Output"].Labels
    assert [type(label) for label in kept] == [type(label) for label in labels()]
    assert list(kept) == labels()


@pytest.mark.parametrize(
    "net",
    [
        FlattenLayer(),
        FlattenLayer(-1),
        DropoutLayer(1),
        DropoutLayer(1.0),
        ReshapeLayer([2, Automatic]),
        ReshapeLayer([All]),
        ThreadingLayer(Ramp, None),
        ThreadingLayer(Ramp, -1),
        LinearLayer([]),
        LinearLayer([2, 3]),
        PoolingLayer([2, 3]),
        ElementwiseLayer("GELU"),
        EmbeddingLayer(2, 5),
        LinearLayer(2, Biases=None),
        LinearLayer(2, Input="Real"),
        FlattenLayer(Input=[3, Restricted("Integer", [2, 7])]),
        LinearLayer(2, LearningRateMultipliers=0),
        LinearLayer(2, LearningRateMultipliers=1.0),
        LinearLayer(2, LearningRateMultipliers=None),
        LinearLayer(2, LearningRateMultipliers={"Weights": 0.5, "Biases": None}),
        CatenateLayer(2, InputPorts=["a", "b/c"]),
    ],
    ids=repr,
)
def test_parameters(net: Net, tmp_path: Path) -> None:
    round_trip(net, tmp_path)


def test_names_that_could_be_confused(tmp_path: Path) -> None:
    net = NetChain(
        {
            "a/b": NetChain({"c": LinearLayer(2)}),
            "a": NetChain({"b/c": LinearLayer(2)}),
            "SharedArrays": LinearLayer(2),
            "é 名 \"'\\\n": LinearLayer(2, Weights=NetArray("Weights"), LearningRateMultipliers=0),
        },
        Input=2,
    )
    back = round_trip(NetInitialize(net), tmp_path)
    assert len(back.array_table()) == 8


def test_shared_arrays_stay_shared(tmp_path: Path) -> None:
    net = NetInitialize(
        NetChain([LinearLayer(3, Weights=NetArray("w")), NetChain([LinearLayer(3, Weights=NetArray("w"))])], Input=3)
    )
    back = round_trip(net, tmp_path)
    assert list(back.shared) == ["w"]
    assert back([1.0, 2.0, 3.0]).tolist() == net([1.0, 2.0, 3.0]).tolist()


def test_functions_with_arrays(tmp_path: Path) -> None:
    def affine(x: Any) -> Any:
        return NetArray("m", Dimensions=[2, 3]) @ x

    net = NetInitialize(FunctionLayer(affine, Input=3))
    back = round_trip(net, tmp_path)
    assert back([1.0, 2.0, 3.0]).tolist() == net([1.0, 2.0, 3.0]).tolist()


def test_graphs_keep_ports_and_their_order(tmp_path: Path) -> None:
    graph = NetGraph(
        {"a": Ramp, "b": Tanh, "s": TotalLayer(), "c": CatenateLayer()},
        [
            (NetPort("B"), NetPort("s", "Input2")),
            (NetPort("A"), NetPort("s", "Input1")),
            ("a", None),
            (["s", NetPort("A"), "b"], "c"),
            ("c", NetPort("Z")),
            ("s", NetPort("Y")),
        ],
    )
    back = round_trip(graph, tmp_path)
    assert back.input_names == ("B", "A", "Input1", "Input2")
    assert back.output_names == graph.output_names
    assert back.wires == graph.wires
    round_trip(Graph(NetChain([3, Ramp], Input=2)), tmp_path)


def test_recurrent_operator_net(tmp_path: Path) -> None:
    net = NetInitialize(
        NetChain(
            {
                "e": EmbeddingLayer(3),
                "m": NetMapOperator(NetChain([4, Ramp])),
                "l": LongShortTermMemoryLayer(2),
                "last": SequenceLastLayer(),
            },
            Input=["Varying", Restricted("Integer", 5)],
        )
    )
    back = round_trip(net, tmp_path)
    assert back([1, 5, 2]).tolist() == net([1, 5, 2]).tolist()


ARRAYS = {
    "strided": np.arange(24, dtype=np.float32).reshape(4, 6)[::2, ::2],
    "Fortran": np.asfortranarray(np.ones((2, 3), np.float32)),
    "big-endian": np.arange(6, dtype=">f4").reshape(2, 3),
    "negative strides": np.arange(6, dtype=np.float32).reshape(2, 3)[::-1, ::-1],
    "bfloat16": np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16),
    "float8": np.ones((2, 3), ml_dtypes.float8_e4m3fn),
    "float16": np.ones((2, 3), np.float16),
    "not finite": np.array([[np.nan, np.inf, -0.0], [-np.inf, 1, 5e-45]], np.float32),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_of_every_kind(kind: str, tmp_path: Path) -> None:
    values = ARRAYS[kind]
    net = LinearLayer(2).rebuilt(Weights=values, Biases=jnp.zeros(2))
    Export(tmp_path / "net.netdsl", net)
    back = Import(tmp_path / "net.netdsl").arrays["Weights",]
    assert back.dtype == values.dtype.newbyteorder("=")
    assert np.asarray(back).tobytes() == values.astype(values.dtype.newbyteorder("=")).tobytes()


def test_arrays_without_levels_and_without_elements(tmp_path: Path) -> None:
    from netdsl.formats.tensors import plain_array, read_tensors, write_tensors

    for array in (np.array(3.5), np.zeros((0, 4), np.float32), np.zeros((2, 0)), np.array(True)):
        back = read_tensors(write_tensors({"a": plain_array(array)}), "test")["a"]
        assert (back.shape, back.dtype, back.tobytes()) == (array.shape, array.dtype, array.tobytes())


def test_arrays_that_cannot_be_stored(tmp_path: Path) -> None:
    net = LinearLayer(2).rebuilt(Weights=np.array([[object()]]), Biases=np.zeros(2, np.complex64))
    with pytest.raises(DeclarationError, match="Weights") as caught:
        Export(tmp_path / "net.netdsl", net)
    assert "complex64 cannot be stored" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_double_precision_needs_double_precision(tmp_path: Path) -> None:
    net = LinearLayer(2).rebuilt(Weights=np.ones((2, 2), np.float64), Biases=None)
    Export(tmp_path / "net.netdsl", net)
    with pytest.raises(FormatError, match="jax_enable_x64"):
        Import(tmp_path / "net.netdsl")


def square(x: Any) -> Any:
    return x**2


class TestFunctions:
    def test_every_function_without_a_name_is_listed(self, tmp_path: Path) -> None:
        net = NetChain([2, square, {"in": ElementwiseLayer(lambda x: x)}], Input=NetEncoder("Function", square, [3]))
        with pytest.raises(DeclarationError) as caught:
            Export(tmp_path / "net.netdsl", net)
        lines = str(caught.value).splitlines()
        assert lines[1] == (
            "  layer '2' (ElementwiseLayer): its Function square has no name that a file could hold; "
            'give Functions={"name": f} to Export and Import.'
        )
        assert "layer '3/in' (ElementwiseLayer): its Function <lambda at test_round_trip.py:" in lines[2]
        assert 'NetEncoder("Function"): its Function square' in lines[3]
        assert len(lines) == 4

    def test_missing_names_are_listed(self, tmp_path: Path) -> None:
        file = Export(tmp_path / "n.netdsl", NetChain([square, Tanh, abs]), Functions={"sq": square, "abs": abs, "other": Ramp})
        with pytest.raises(FormatError, match="needs the functions 'abs' and 'sq'"):
            Import(file)
        with pytest.raises(FormatError, match="needs the function 'abs', and"):
            Import(file, Functions={"sq": square})
        assert Import(file, Functions={"sq": square, "abs": abs})["1"].Function is square

    def test_methods_and_wrong_settings(self, tmp_path: Path) -> None:
        class Scale:
            def by(self, x: Any) -> Any:
                return 2 * x

        scale = Scale()
        file = Export(tmp_path / "n.netdsl", ElementwiseLayer(scale.by), Functions={"by": scale.by})
        assert Import(file, Functions={"by": scale.by}).Function == scale.by
        for wrong in ([square], {"": square}, {"a": 3}, {1: square}):
            with pytest.raises(DeclarationError, match="Functions is a dict"):
                Export(tmp_path / "n.netdsl", ElementwiseLayer(square), Functions=wrong)


class TestElements:
    def test_elements(self, net: Net, tmp_path: Path) -> None:
        file = Export(str(tmp_path / "net.netdsl"), net)
        assert isinstance(file, str)
        assert Import(file, "Net") == net
        assert Import(file, "Version") == 1
        assert "ArrayList" in Import(file, "Elements")
        arrays = Import(file, "ArrayAssociation")
        assert list(arrays) == list(net.array_table())
        assert [a.shape for a in Import(file, "ArrayList")] == [a.shape for a in net.array_table().values()]
        empty = Import(file, "UninitializedNet")
        assert not empty.initialized
        assert len(empty.missing) == len(net.array_table())
        assert empty.ports["Input"] == net.ports["Input"]
        assert NetInitialize(empty).initialized
        with pytest.raises(PartError, match="Did you mean 'Net'"):
            Import(file, "Nets")

    def test_sizes_that_arrays_gave_stay(self, tmp_path: Path) -> None:
        file = Export(tmp_path / "net.netdsl", LinearLayer(Weights=np.ones((2, 3))))
        assert Import(file, "UninitializedNet") == LinearLayer(Input=3, Output=2)

    def test_formats(self, net: Net, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedError, match=r"the format ONNX does not exist in netdsl yet. There is '.netdsl'"):
            Export(tmp_path / "net.onnx", net)
        with pytest.raises(UnsupportedError, match="WLNet"):
            Import("net.WLNET")
        with pytest.raises(DeclarationError, match=r"no suffix of a format that holds nets. There is '.netdsl'"):
            Import("net")
        with pytest.raises(DeclarationError, match="Export writes nets"):
            Export(tmp_path / "net.netdsl", [1, 2])
        with pytest.raises(DeclarationError, match="named by a string"):
            Import(3)
        with pytest.raises(FileNotFoundError):
            Import(tmp_path / "none.netdsl")

    def test_own_classes_are_refused(self, tmp_path: Path) -> None:
        class Mine(LinearLayer):
            pass

        for net in (Mine(2), NetChain([Mine(2)])):
            with pytest.raises(DeclarationError, match="the class Mine is not one of netdsl's own"):
                Export(tmp_path / "net.netdsl", net)
