"""A loss behind SoftmaxLayer or LogisticSigmoid is computed from the logits: finite, its gradient too, however large."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    BatchNormalizationLayer,
    CrossEntropyLossLayer,
    ElementwiseLayer,
    LogisticSigmoid,
    NetChain,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetPort,
    SoftmaxLayer,
)

LOGITS = [-1e4, -3e3, -90.0, 0.0, 90.0, 3e3, 1e4]


def logistic(form):
    return {"symbol": LogisticSigmoid, "name": ElementwiseLayer("Sigmoid"), "nested": NetChain([[LogisticSigmoid]])}[form]


def softmaxes():
    return {
        "layer": SoftmaxLayer(),
        "level": SoftmaxLayer(1),
        "chain": NetChain([SoftmaxLayer()]),
        "nested": NetChain([[SoftmaxLayer()]]),
        "graph": NetGraph({"p": SoftmaxLayer()}, []),
    }


def attached(net, loss, **ports):
    edges = [(NetPort("Input"), "net", NetPort("loss", "Input")), (NetPort("Target"), NetPort("loss", "Target"))]
    return NetGraph({"net": net, "loss": loss}, edges, **ports)


def slope(net, logits, target):
    function = net.function()
    given = {"Input": jnp.asarray(logits, jnp.float32)[None], "Target": jnp.asarray(target)[None]}
    return jax.value_and_grad(lambda x: function(net.arrays, net.state, {**given, "Input": x})[0][0])(given["Input"])


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def log_softmax(x):
    x = np.asarray(x, np.float64)
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


@pytest.mark.parametrize("form", softmaxes())
def test_softmax_and_index(form):
    net = attached(softmaxes()[form], CrossEntropyLossLayer("Index"), Input=7)
    for target in (1, 4, 7):
        loss, gradient = slope(net, LOGITS, np.int32(target))
        close(loss, -log_softmax(LOGITS)[target - 1])
        close(gradient[0], np.exp(log_softmax(LOGITS)) - np.eye(7)[target - 1])


def test_softmax_and_probabilities():
    target = np.float32([0.5, 0, 0, 0.25, 0, 0, 0.25])
    loss, gradient = slope(attached(SoftmaxLayer(), CrossEntropyLossLayer("Probabilities"), Input=7), LOGITS, target)
    close(loss, -(target * log_softmax(LOGITS)).sum())
    close(gradient[0], np.exp(log_softmax(LOGITS)) - target)


@pytest.mark.parametrize("form", ["symbol", "name", "nested"])
@pytest.mark.parametrize("target", [0.0, 1.0, 0.3])
def test_sigmoid_and_binary(form, target):
    net = attached(logistic(form), CrossEntropyLossLayer("Binary"), Input=7)
    loss, gradient = slope(net, LOGITS, np.full(7, target, np.float32))
    x = np.array(LOGITS)
    close(loss, np.mean(np.logaddexp(0, x) - target * x))
    close(gradient[0], (1 / (1 + np.exp(-x.clip(-700, 700))) - target) / 7)


def test_inside_and_outside_map_operators():
    x = np.array([LOGITS, LOGITS[::-1]])
    target = np.array([1, 1], np.int32)
    expected = -log_softmax(x)[:, 0].mean()
    slopes = (np.exp(log_softmax(x)) - np.eye(7)[[0, 0]]) / 2
    for inner in (NetMapOperator(SoftmaxLayer()), NetMapOperator(NetChain([[SoftmaxLayer()]])), SoftmaxLayer()):
        net = attached(inner, CrossEntropyLossLayer("Index"), Input=[2, 7])
        loss, gradient = slope(net, x, target)
        close(loss, expected)
        close(gradient[0], slopes)
    varying = attached(NetMapOperator(SoftmaxLayer()), CrossEntropyLossLayer("Index"), Input=["Varying", 7])
    close(varying({"Input": x, "Target": target}), expected)
    close(varying({"Input": [x, x[:1]], "Target": [target, target[:1]]}), [expected, -log_softmax(x)[0, 0]])
    both = NetMapOperator(NetChain([SoftmaxLayer(), NetMapOperator(ElementwiseLayer("Sigmoid"))]))
    assert np.all(np.isfinite(both.changed(Ports={"Input": [2, 7]})(x)))


def test_after_layers_with_arrays_and_state():
    net = NetInitialize(
        attached(NetChain([BatchNormalizationLayer(), 3, SoftmaxLayer()]), CrossEntropyLossLayer("Index"), Input=4)
    )
    huge = net.with_arrays({("net", "2", "Weights"): 1e4 * np.eye(3, 4)})
    loss, gradient = slope(huge, [1.0, -1.0, 0.0, 0.0], np.int32(2))
    assert np.isfinite(loss)
    assert np.all(np.isfinite(gradient))
    assert loss > 1e4


def test_what_is_not_fused_is_clipped():
    loss = CrossEntropyLossLayer("Index", Input=2)
    value, gradient = slope(loss, [0.0, 1.0], np.int32(1))
    assert 80 < value < 90
    assert np.all(np.isfinite(gradient))
    binary = CrossEntropyLossLayer("Binary", Input="Real")
    for p, target in ((0.0, 1.0), (1.0, 0.0)):
        value, gradient = slope(binary, p, np.float32(target))
        assert np.isfinite(value)
        assert np.all(np.isfinite(gradient))
    other = attached(SoftmaxLayer(1), CrossEntropyLossLayer("Index"), Input=[3, 2])
    x = np.array([[1.0, 2.0], [0.0, -1.0], [3.0, 0.0]])
    p = np.exp(x) / np.exp(x).sum(0)
    close(slope(other, x, np.array([1, 2, 1], np.int32))[0], -np.log(p[[0, 1, 2], [0, 1, 0]]).mean())


def test_the_probabilities_themselves_are_as_they_were():
    net = attached(SoftmaxLayer(), CrossEntropyLossLayer("Index"), Input=3)
    x = {"Input": [1.0, 2.0, 3.0], "Target": 1}
    close(net(x, NetPort("net", "Output")), np.exp(log_softmax([1.0, 2.0, 3.0])))
