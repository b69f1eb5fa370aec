"""CTCLossLayer and ContrastiveLossLayer against their definitions, and PyTorch's."""

from __future__ import annotations

from itertools import groupby, product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import ContrastiveLossLayer, CTCLossLayer, NetGraph, NetPort, Restricted, ShapeError, SoftmaxLayer


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def by_readings(probabilities, target):
    """The loss by its definition: over every reading that becomes the target."""
    steps, size = probabilities.shape
    total = 0.0
    for reading in product(range(1, size + 1), repeat=steps):
        joined = [label for label, _ in groupby(reading) if label != size]
        if joined == list(target):
            total += np.prod([probabilities[t, label - 1] for t, label in enumerate(reading)])
    return -np.log(total)


TARGETS = [[1], [1, 2], [2, 2], [1, 1, 2], [3, 2, 1, 3], [3, 3, 3]]


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_ctc_is_the_sum_over_readings(target):
    probabilities = softmax(np.random.default_rng(1).normal(size=(5, 4)))
    expected = by_readings(probabilities, target)
    assert CTCLossLayer(Input=[5, 4])({"Input": probabilities, "Target": target}) == pytest.approx(expected, rel=1e-4)


def test_ctc_of_varying_lengths():
    rng = np.random.default_rng(2)
    inputs = [softmax(rng.normal(size=(n, 4))) for n in (3, 6, 5, 1)]
    targets = [[1, 2], [2, 2, 3], [3], [2]]
    layer = CTCLossLayer(Input=["Varying", 4], Target=["Varying", "Integer"])
    expected = [by_readings(p, t) for p, t in zip(inputs, targets)]
    np.testing.assert_allclose(layer({"Input": inputs, "Target": targets}), expected, rtol=1e-4)


def test_ctc_and_its_gradient_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    logits, targets = rng.normal(size=(4, 12, 6)).astype(np.float32), rng.integers(1, 6, (4, 5))
    net = NetGraph([SoftmaxLayer(), CTCLossLayer()], [(1, NetPort(2, "Input"))], Input=[12, 6], Target=[5, "Integer"])
    function = net.function()
    given = {"Target": jnp.asarray(targets, jnp.int32)}
    losses, slopes = jax.vmap(
        jax.value_and_grad(lambda x, t: function({}, {}, {"Input": x[None], "Target": t[None]})[0][0]), (0, 0)
    )(logits, given["Target"])
    x = torch.tensor(logits, requires_grad=True)
    made = torch.nn.functional.ctc_loss(
        torch.log_softmax(x, -1).transpose(0, 1),
        torch.tensor(targets - 1),
        torch.full((4,), 12),
        torch.full((4,), 5),
        blank=5,
        reduction="none",
    )
    made.sum().backward()
    np.testing.assert_allclose(losses, made.detach().numpy(), rtol=1e-4)
    np.testing.assert_allclose(slopes, x.grad.numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("size", [1e2, 1e4])
def test_ctc_is_finite(size):
    """For large logits, for probabilities of 0, and for a target that is too long."""
    logits = np.float32(np.random.default_rng(4).normal(size=(1, 6, 4)) * size)
    net = NetGraph([SoftmaxLayer(), CTCLossLayer()], [(1, NetPort(2, "Input"))], Input=[6, 4], Target=[2, "Integer"])
    layer = CTCLossLayer(Input=[2, 4], Target=[4, "Integer"])
    certain = np.float32([[[1, 0, 0, 0], [0, 0, 0, 1]]])
    for each, x, target in ((net, logits, [[1, 3]]), (layer, certain, [[2, 2, 2, 3]])):
        function = each.function()
        target = jnp.asarray(target, jnp.int32)

        def loss(x, function=function, target=target):
            return function({}, {}, {"Input": x, "Target": target})[0].sum()

        value, slope = jax.value_and_grad(loss)(x)
        assert np.isfinite(value)
        assert np.isfinite(slope).all()
    assert value > 1e5 / 2
    assert np.abs(jax.grad(loss)(certain)).max() >= 0
    close = net({"Input": logits[0], "Target": [1, 3]})
    assert close == pytest.approx(_in_double(logits[0], [1, 3]), rel=1e-4)


def _in_double(logits, target):
    """The loss of large logits, in logarithms throughout."""
    x = np.float64(logits)
    logs = x - x.max(-1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(-1, keepdims=True))
    steps, size = logs.shape
    found = [
        sum(logs[t, label - 1] for t, label in enumerate(reading))
        for reading in product(range(1, size + 1), repeat=steps)
        if [label for label, _ in groupby(reading) if label != size] == target
    ]
    return -np.logaddexp.reduce(found)


def test_sizes_of_ctc_follow_from_each_other():
    assert CTCLossLayer(Input=["Varying", 5]).port_type("Target").elements.high == 4
    assert CTCLossLayer(Target=[3, Restricted("Integer", 7)]).port_type("Input").sizes == (None, 8)
    with pytest.raises(ShapeError, match="needs the probabilities of 5 classes and the blank, not 5"):
        CTCLossLayer(Input=[4, 5], Target=[3, Restricted("Integer", 5)])
    with pytest.raises(ShapeError, match="needs the probabilities of one class and the blank, not 1"):
        CTCLossLayer(Input=[4, 1])


def test_contrastive():
    given = {"Input": [0.2, 0.2, 0.9, 0.9, 2.0], "Target": [False, True, False, True, True]}
    np.testing.assert_allclose(ContrastiveLossLayer()(given), [0.2, 0.3, 0.9, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(ContrastiveLossLayer(1)(given), [0.2, 0.8, 0.9, 0.1, 0], rtol=1e-5)
