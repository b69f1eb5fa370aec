"""NetChain, promotion and NetMapOperator."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    CatenateLayer,
    ElementwiseLayer,
    FunctionLayer,
    LinearLayer,
    LogisticSigmoid,
    Mean,
    MeanSquaredLossLayer,
    NetArray,
    NetArrayLayer,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetPort,
    Plus,
    Ramp,
    Rule,
    SoftmaxLayer,
    Tanh,
    ThreadingLayer,
    Total,
)
from netdsl.errors import DeclarationError

PROMOTED = {
    "integer": (3, LinearLayer(3)),
    "NumPy integer": (np.int32(3), LinearLayer(3)),
    "symbol": (Ramp, ElementwiseLayer(Ramp)),
    "threading symbol": (Plus, ThreadingLayer(Plus)),
    "reduction": (Total, FunctionLayer(Total)),
    "list": ([Ramp, 2], NetChain([Ramp, 2])),
    "dict": ({"a": Ramp}, NetChain({"a": Ramp})),
}


@pytest.mark.parametrize("case", PROMOTED)
def test_shorthands(case):
    thing, layer = PROMOTED[case]
    assert NetGraph({"only": thing, "in": Ramp}, [("in", "only")]).nets["only"] == layer
    assert NetChain([Tanh, thing]).nets["2"] == layer


def test_functions_become_elementwise_only_where_they_are():
    def kind(function):
        return type(NetChain([Ramp, function]).nets["2"])

    assert kind(lambda x: x**2 + 1) is ElementwiseLayer
    assert kind(jnp.tanh) is ElementwiseLayer
    assert kind(jax.nn.relu) is ElementwiseLayer
    for function in (
        jax.nn.softmax,
        lambda x: x - x.mean(),
        jnp.sort,
        lambda x: x[0],
        jnp.cumsum,
        lambda x: x.T,
        lambda x: x @ x.T,
    ):
        assert kind(function) is FunctionLayer
    assert NetGraph({"a": Ramp, "b": Tanh, "f": lambda x, y: x * y}, [(["a", "b"], "f")]).nets["f"].input_names == ("x", "y")


def test_forms():
    assert NetChain([Rule("a", Ramp), Rule("b", 2)]) == NetChain({"a": Ramp, "b": 2})
    assert NetChain((Ramp, 2)) == NetChain([Ramp, 2])
    assert list(NetChain([Ramp, 2]).nets) == ["1", "2"]
    assert len(NetChain([Ramp, 2])) == 2
    assert repr(NetChain({"a": [Ramp]}, Input=2)) == "NetChain({'a': NetChain([ElementwiseLayer(Ramp)])}, Input=2)"


def test_ports_come_from_first_and_last():
    net = NetChain(
        [ThreadingLayer(lambda a, b: a - b, InputPorts=["Left", "Right"]), NetGraph([Ramp, Tanh], [(NetPort("Input"), [1, 2])])],
        Left=2,
        Right=2,
    )
    assert net.input_names == ("Left", "Right")
    assert net.output_names == ("Output1", "Output2")
    made = net({"Left": [3.0, 0.0], "Right": [1.0, 1.0]})
    np.testing.assert_allclose(made["Output1"], [2, 0])
    np.testing.assert_allclose(made["Output2"], np.tanh([2, -1]), rtol=1e-6)


def test_a_layer_of_any_number_of_inputs_takes_one_inside():
    np.testing.assert_allclose(NetChain([Ramp, Plus, CatenateLayer()], Input=2)([1.0, -1.0]), [1, 0])


REFUSED = {
    "nothing": (lambda: NetChain([]), "NetChain takes at least one layer. Got none."),
    "class": (
        lambda: NetChain([LinearLayer]),
        "element 1 of NetChain is the class LinearLayer, not a layer. Write LinearLayer(...).",
    ),
    "text": (lambda: NetChain(["Ramp"]), "element 1 of NetChain is 'Ramp', which is no layer."),
    "activation": (
        lambda: NetChain([3, "GELU"]),
        "element 2 of NetChain is 'GELU', which is no layer. Write ElementwiseLayer('GELU').",
    ),
    "truth": (lambda: NetChain({"a": True}), "layer 'a' of NetChain is True, which is no layer."),
    "no list": (lambda: NetChain(7), "NetChain takes a list or a dict of layers. Got 7."),
    "two inputs": (
        lambda: NetChain([Ramp, MeanSquaredLossLayer()]),
        "Element 2, MeanSquaredLossLayer, cannot follow another layer in a NetChain: "
        "it has 2 input ports (Input and Target). Use a NetGraph.",
    ),
    "no input": (
        lambda: NetChain({"a": Ramp, "b": NetArrayLayer()}),
        "Layer 'b', NetArrayLayer, cannot follow another layer in a NetChain: it has 0 input ports (none). Use a NetGraph.",
    ),
    "two outputs": (
        lambda: NetChain([NetGraph([Ramp, Tanh], []), Ramp]),
        "Element 1, NetGraph, cannot stand before another layer in a NetChain: "
        "it has 2 output ports (Output1 and Output2). Use a NetGraph.",
    ),
    "any number first": (
        lambda: NetChain([Plus]),
        "Element 1, ThreadingLayer, takes any number of inputs: as the first of a NetChain it must say "
        "how many, ThreadingLayer(..., InputPorts=2).",
    ),
    "option": (lambda: NetChain([Ramp], Imput=3), "NetChain has no option or port 'Imput'. Did you mean 'Input'?"),
    "multipliers": (
        lambda: NetChain([Ramp], LearningRateMultipliers={"1": "slow"}),
        "LearningRateMultipliers is a number, None, or rules from parts to numbers. Got {'1': 'slow'}.",
    ),
    "decoder at an input": (
        lambda: NetChain([Ramp], Input=NetDecoder("Boolean")),
        "Port 'Input' is an input port: it takes a NetEncoder",
    ),
    "encoder at an output": (
        lambda: NetChain([Ramp], Output=NetEncoder("Boolean")),
        "Port 'Output' is an output port: it takes a NetDecoder",
    ),
    "map of two": (
        lambda: NetMapOperator(MeanSquaredLossLayer()),
        "NetMapOperator takes a net with one input and one output. MeanSquaredLossLayer has the inputs Input and Target",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    make, words = REFUSED[case]
    with pytest.raises(DeclarationError) as caught:
        make()
    assert str(caught.value).startswith(words)


def test_coders_are_lifted_to_the_ports():
    labels = NetEncoder("Class", ["a", "b"])
    decoder = NetDecoder("Class", ["x", "y"])
    inner = NetChain([ElementwiseLayer(Ramp, Input=labels), LinearLayer(2), SoftmaxLayer(Output=decoder)])
    net = NetInitialize(NetChain({"deep": [inner]}))
    assert net.encoder("Input") == labels
    assert net.decoder("Output") == decoder
    assert net("a") in ("x", "y")
    assert net(["a", "b", "b"])[1] == net("b")


def test_two_different_encoders_at_one_port():
    first, second = NetEncoder("Class", ["a", "b"]), NetEncoder("Class", ["a", "c"])
    parts = {"f": ElementwiseLayer(Ramp, Input=first), "g": ElementwiseLayer(Tanh, Input=second)}
    with pytest.raises(
        DeclarationError, match=r"Two different encoders meet at the input port 'Input': .* of layer 'f' and .* of layer 'g'"
    ):
        _ = NetGraph(parts, [(NetPort("Input"), ["f", "g"])]).program
    agreed = NetGraph(parts, [(NetPort("Input"), ["f", "g"])], Input=first)
    assert agreed.encoder("Input") == first


def test_shared_arrays_live_once_in_the_outermost_net():
    def layer():
        return LinearLayer(2, Weights=NetArray("w"), Biases=None)

    net = NetInitialize(NetChain([layer(), [layer(), Ramp]], Input=2))
    assert list(net.arrays) == [("", "w")]
    w = np.asarray(net.arrays["", "w"])
    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(net(x), np.maximum(w @ (w @ x), 0), rtol=1e-5)
    function = net.function()
    slope = jax.grad(lambda a: function(a, net.state, jnp.asarray(x[None], jnp.float32))[0].sum())(net.arrays)["", "w"]
    apart = jax.grad(lambda a, b: jax.nn.relu(a @ (b @ x)).sum(), argnums=(0, 1))(jnp.asarray(w), jnp.asarray(w))
    np.testing.assert_allclose(slope, apart[0] + apart[1], rtol=1e-4)


def test_shared_arrays_with_values():
    given = NetArray(Name="w", Array=[[1.0, 2.0], [3.0, 4.0]])
    net = NetChain([LinearLayer(2, Weights=given, Biases=None), LinearLayer(2, Weights=NetArray("w"), Biases=None)])
    np.testing.assert_allclose(net([1.0, 0.0]), [7, 15])
    with pytest.raises(
        DeclarationError, match=r"The shared array NetArray\('w'\) comes with different values in layer '2' and elsewhere"
    ):
        NetChain([LinearLayer(2, Weights=given), LinearLayer(2, Weights=NetArray(Name="w", Array=np.zeros((2, 2))))])
    changed = net.with_arrays({("", "w"): np.eye(2)})
    np.testing.assert_allclose(changed([5.0, 6.0]), [5, 6])


def test_shared_arrays_inside_an_operator():
    net = NetInitialize(
        NetChain(
            [
                NetMapOperator(LinearLayer(2, Weights=NetArray("w"), Biases=None)),
                FunctionLayer(lambda x: x.sum(0)),
                LinearLayer(2, Weights=NetArray("w"), Biases=None),
            ],
            Input=[3, 2],
        )
    )
    assert list(net.arrays) == [("", "w")]
    w, x = np.asarray(net.arrays["", "w"]), np.arange(6.0).reshape(3, 2)
    np.testing.assert_allclose(net(x), w @ (x @ w.T).sum(0), rtol=1e-4)


def test_map_operator():
    net = NetInitialize(NetMapOperator(NetChain([2, Tanh]), Input=["Varying", 3]))
    w, b = (np.asarray(net.arrays["Net", "1", name]) for name in ("Weights", "Biases"))
    sequences = [np.random.default_rng(n).normal(size=(n, 3)) for n in (1, 3)]
    for made, x in zip(net(sequences), sequences):
        np.testing.assert_allclose(made, np.tanh(x @ w.T + b), rtol=1e-4, atol=1e-6)
    assert repr(NetMapOperator(LogisticSigmoid)) == "NetMapOperator(ElementwiseLayer(LogisticSigmoid))"
    np.testing.assert_allclose(NetMapOperator(Mean, Input=[2, 3])([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]]), [2, 6])
