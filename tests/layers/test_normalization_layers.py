"""NormalizationLayer and LocalResponseNormalizationLayer against their formulas in NumPy, and against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import netdsl
from netdsl import All, Automatic, LocalResponseNormalizationLayer, NetInitialize, NormalizationLayer, Span
from netdsl.errors import ShapeError

RNG = np.random.default_rng(0)


def close(a, b):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def standardized(x, axes, epsilon, unbiased=0):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True, ddof=unbiased) + epsilon)


CASES = {
    "instance": ((), (1, 2), (0,)),
    "level 1": ((1,), (0,), (1, 2)),
    "the last": ((-1,), (2,), (0, 1)),
    "a span": ((Span(1, 2),), (0, 1), (2,)),
    "a list": (([3, 1],), (0, 2), (1,)),
    "same": ((2, "Same"), (1,), (1,)),
    "all, scaled by channel": ((Span(1, All), 1), (0, 1, 2), (0,)),
    "all, one scaling": ((Span(1, All),), (0, 1, 2), ()),
    "other levels scaled": ((2, [1, -1]), (1,), (0, 2)),
    "a span scaled": ((1, Span(2, 3)), (0,), (1, 2)),
}


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_standardize(case, unbiased):
    arguments, axes, scaled = CASES[case]
    x = RNG.normal(size=(3, 4, 5)) * 2 + 1
    sizes = [x.shape[axis] for axis in scaled]
    scaling, biases = RNG.normal(size=sizes), RNG.normal(size=sizes)
    layer = NormalizationLayer(*arguments, Scaling=scaling, Biases=biases, Unbiased=unbiased, Input=[3, 4, 5])
    assert layer.solved.arrays[("Scaling",)].sizes == tuple(sizes)
    shape = [n if axis in scaled else 1 for axis, n in enumerate(x.shape)]
    close(layer(x), scaling.reshape(shape) * standardized(x, axes, 0.001, unbiased) + biases.reshape(shape))
    plain = NormalizationLayer(*arguments, Scaling=None, Biases=None, Epsilon=0.5, Unbiased=unbiased)
    close(plain(x), standardized(x, axes, 0.5, unbiased))


def test_root_mean_square():
    x = RNG.normal(size=(3, 4)) + 1
    layer = NormalizationLayer(2, "Same", Method="RMS", Epsilon=0.1, Scaling=[1, 2, 3, 4], Biases=None)
    close(layer(x), x / np.sqrt((x**2).mean(1, keepdims=True) + 0.1) * [1, 2, 3, 4])
    close(layer.changed(Unbiased=True)(x), layer(x))


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_groups(groups):
    x = RNG.normal(size=(6, 2, 3))
    layer = NetInitialize(NormalizationLayer(Span(1, All), 1, GroupNumber=groups, Input=[6, 2, 3]))
    close(layer(x), standardized(x.reshape(groups, -1), (1,), 0.001).reshape(x.shape))
    assert layer.arrays["Scaling",].shape == (6,)


def test_groups_of_several_levels():
    x = RNG.normal(size=(4, 3, 6))
    layer = NormalizationLayer([1, 3], GroupNumber=[2, 3], Scaling=None, Biases=None)
    close(layer(x), standardized(x.reshape(2, 2, 3, 3, 2), (1, 4), 0.001).reshape(x.shape))
    second = NormalizationLayer(2, GroupNumber=3, Scaling=None, Biases=None)
    close(second(x[0].T), standardized(x[0].T.reshape(6, 3, 1), (2,), 0.001).reshape(6, 3))


def test_pytorch_computes_the_same():
    torch = pytest.importorskip("torch")
    functional, x = torch.nn.functional, RNG.normal(size=(6, 4, 5))
    given = torch.from_numpy(x)
    close(NetInitialize(NormalizationLayer(Input=[6, 4, 5]))(x), functional.instance_norm(given[None], eps=1e-3)[0].numpy())
    layer = NetInitialize(NormalizationLayer(3, "Same", Input=[6, 4, 5]))
    close(layer(x), functional.layer_norm(given, [5], eps=1e-3).numpy())
    grouped = NetInitialize(NormalizationLayer(Span(1, All), 1, GroupNumber=3, Input=[6, 4, 5]))
    close(grouped(x), functional.group_norm(given[None], 3, eps=1e-3)[0].numpy())
    close(
        LocalResponseNormalizationLayer(Alpha=0.3, Beta=0.7, Bias=2.0, ChannelWindowSize=1)(x),
        functional.local_response_norm(given[None], 3, alpha=0.3, beta=0.7, k=2.0)[0].numpy(),
    )


@pytest.mark.parametrize("arguments", [(1,), (Span(1, 2), 2), (2, "Same"), (Span(1, All), 3)])
def test_sequences_count_real_elements(arguments):
    sequences = [RNG.normal(size=(n, 3, 2)) for n in (1, 4, 2)]
    fixed = [NetInitialize(NormalizationLayer(*arguments, Input=list(x.shape)))(x) for x in sequences]
    varying = NetInitialize(NormalizationLayer(*arguments, Input=["Varying", 3, 2]))
    for made, expected in zip(varying(sequences), fixed):
        close(made, expected)


def test_training_and_evaluation_are_the_same():
    layer, x = NetInitialize(NormalizationLayer(Input=[2, 3])), RNG.normal(size=(2, 3))
    close(layer(x), layer(x, NetEvaluationMode="Train"))
    assert not layer.state


def test_what_cannot_be_normalized():
    for make, message in [
        (lambda: NormalizationLayer(Input=3), "of which an array of rank 1 has none"),
        (lambda: NormalizationLayer(4, Input=[2, 3]), "acts on the levels 4, which an array of rank 2 does not have"),
        (lambda: NormalizationLayer(1, [1, -3], Input=[2, 3]), "which an array of rank 2 does not have"),
        (lambda: NormalizationLayer(1, GroupNumber=2, Input=[3, 2]), "splits level 1 into 2 groups, which has size 3"),
        (lambda: NormalizationLayer(1, GroupNumber=[2, 2], Input=[4, 2]), "has 2 numbers of groups for 1 aggregated levels"),
        (lambda: NormalizationLayer(Input=["Varying", 3]), "scales level 1, which cannot vary"),
        (lambda: NormalizationLayer(1, GroupNumber=2, Input=["Varying", 3]), "into 2 groups, which has a varying size"),
        (lambda: NormalizationLayer(Scaling=[[1.0, 2.0]], Input=[2, 3]), "takes an array of rank 1"),
        (lambda: NormalizationLayer(Scaling=[1.0, 2.0], Input=[3, 3]), "2"),
    ]:
        with pytest.raises(ShapeError, match=message):
            make()


def test_arrays_and_outputs_say_sizes():
    assert NormalizationLayer(Biases=[1.0, 2.0], Output=[Automatic, 3]).port_type("Input").sizes == (2, 3)


def test_the_older_name():
    assert netdsl.InstanceNormalizationLayer is NormalizationLayer


def test_local_response():
    x = RNG.normal(size=(7, 2, 3))
    layer = LocalResponseNormalizationLayer()
    sums = np.stack([sum(x[k] ** 2 for k in range(max(0, i - 2), min(6, i + 2) + 1)) for i in range(7)])
    close(layer(x), x / (sums / 5 + 1) ** 0.5)
    other = LocalResponseNormalizationLayer(Alpha=2.0, Beta=-1, Bias=0.5, ChannelWindowSize=3)
    sums = np.stack([sum(x[k] ** 2 for k in range(max(0, i - 3), min(6, i + 3) + 1)) for i in range(7)])
    close(other(x), x * (2 / 7 * sums + 0.5))


def test_local_response_needs_channels():
    with pytest.raises(ShapeError, match="needs 5 channels or more for its ChannelWindowSize, where there are 4"):
        LocalResponseNormalizationLayer(Input=[4, 2, 2])
    assert LocalResponseNormalizationLayer(ChannelWindowSize=1, Input=[3, 2, 2])
