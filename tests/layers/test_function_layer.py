"""FunctionLayer: ports from arguments and keys, functions of any number of arguments, arrays named inside."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    DeclarationError,
    Det,
    FoldList,
    FunctionLayer,
    LinearLayer,
    Mean,
    NetArray,
    NetChain,
    NetGraph,
    NetInitialize,
    NetPort,
    Plus,
    Tanh,
    Total,
    Tr,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 3)).astype(np.float32)


def test_the_keys_of_a_dict_are_the_output_ports_in_their_order():
    layer = FunctionLayer(lambda x: {"Trace": Tr(x), "Determinant": Det(x)})
    assert layer.output_names == ("Trace", "Determinant")
    made = layer(X)
    np.testing.assert_allclose([made["Trace"], made["Determinant"]], [np.trace(X), np.linalg.det(X)], rtol=1e-5)
    assert "OutputPorts=['Trace', 'Determinant']" in repr(layer)
    assert layer.changed(Function=lambda x: x, OutputPorts=["a"]).output_names == ("a",)


def test_keys_show_in_graphs_too():
    both = FunctionLayer(lambda a, b: {"Sum": a + b, "Mean": Mean(a)})
    net = NetGraph(
        {"f": both, "t": Tanh},
        [
            (NetPort("A"), NetPort("f", "a")),
            (NetPort("B"), NetPort("f", "b")),
            (NetPort("f", "Sum"), "t", NetPort("T")),
            (NetPort("f", "Mean"), NetPort("M")),
        ],
    )
    made = net({"A": X, "B": X})
    np.testing.assert_allclose(made["T"], np.tanh(2 * X), rtol=1e-5)
    np.testing.assert_allclose(made["M"], X.mean(0), rtol=1e-5, atol=1e-6)


def test_a_function_that_only_takes_other_sizes_says_what_to_write():
    def picky(x):
        return {"a": x.reshape(5, 2), "b": x}

    with pytest.raises(DeclarationError, match=r"OutputPorts=\['a', 'b'\]"):
        FunctionLayer(picky, Input=10)
    assert FunctionLayer(picky, OutputPorts=["a", "b"], Input=10).port_type("a").sizes == (5, 2)


def test_any_number_of_arguments():
    layer = FunctionLayer(lambda *xs: sum(xs) / len(xs), InputPorts=3)
    assert layer.input_names == ("Input1", "Input2", "Input3")
    np.testing.assert_allclose(layer({"Input1": X, "Input2": 2 * X, "Input3": 3 * X}), 2 * X, rtol=1e-5)
    named = FunctionLayer(lambda *xs: {"First": xs[0], "Last": xs[-1]}, InputPorts=["a", "b"])
    assert (named.input_names, named.output_names) == (("a", "b"), ("First", "Last"))
    with pytest.raises(DeclarationError, match=r"name its ports with InputPorts=\[\.\.\.\]"):
        FunctionLayer(lambda *xs: xs[0], Input=2)


def test_arrays_inside_are_learnable_with_several_outputs():
    layer = FunctionLayer(lambda x: {"y": NetArray("w", Dimensions=[2, 3]) @ x, "x": x}, Input=3, OutputPorts=["y", "x"])
    net = NetInitialize(layer)
    assert net.arrays["", "w"].shape == (2, 3)
    np.testing.assert_allclose(net(X[0])["y"], net.arrays["", "w"] @ X[0], rtol=1e-5)


def test_layers_inside_are_applied_with_the_arrays_they_have():
    inner = LinearLayer(Weights=X, Biases=np.ones(3))
    layer = FunctionLayer(lambda x: Total(jnp.stack([inner(x), Tanh(x)])), Input=3)
    np.testing.assert_allclose(layer(X[0]), X @ X[0] + 1 + np.tanh(X[0]), rtol=1e-5)


def test_functions_of_the_language_inside():
    layer = FunctionLayer(lambda x: FoldList(Plus, 0.0, x), Input=4)
    np.testing.assert_allclose(layer([1.0, 2.0, 3.0, 4.0]), [0, 1, 3, 6, 10])
    assert NetChain([layer, 2]).port_type("Output").sizes == (2,)
