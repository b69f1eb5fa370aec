"""NetInitialize: methods, their distributions, seeds, what is kept."""

from __future__ import annotations

import math

import numpy as np
import pytest

from netdsl import (
    All,
    Automatic,
    BatchNormalizationLayer,
    ConvolutionLayer,
    FunctionLayer,
    Inherited,
    LinearLayer,
    NetArray,
    NetChain,
    NetInitialize,
    NetMapOperator,
    NormalDistribution,
    Ramp,
    Rule,
    UniformDistribution,
)
from netdsl.errors import DeclarationError, UninitializedError

WIDE = LinearLayer(200, Input=300)
CONVOLUTION = ConvolutionLayer(60, 5, Input=[40, 8, 8])


def weights(net, **options):
    return np.asarray(NetInitialize(net, **options).arrays[("Weights",)], np.float64)


@pytest.mark.parametrize(
    ("method", "net", "deviation"),
    [
        ("Kaiming", WIDE, math.sqrt(2 / 300)),
        ("Kaiming", CONVOLUTION, math.sqrt(2 / (40 * 25))),
        ("Xavier", WIDE, math.sqrt(2 / 500)),
        ("Xavier", CONVOLUTION, math.sqrt(2 / (100 * 25))),
    ],
)
@pytest.mark.parametrize("distribution", ["Normal", "Uniform"])
def test_variance(method, net, deviation, distribution):
    drawn = weights(net, Method=[method, {"Distribution": distribution}])
    assert abs(drawn.mean()) < 4 * deviation / math.sqrt(drawn.size)
    assert drawn.std() == pytest.approx(deviation, rel=0.02)
    if distribution == "Uniform":
        assert abs(drawn).max() <= deviation * math.sqrt(3) + 1e-6
    else:
        assert np.mean(drawn**4) / deviation**4 == pytest.approx(3, abs=0.2)


def test_kaiming_with_a_normal_distribution_is_the_default():
    a, b = weights(WIDE), weights(WIDE, Method="Kaiming")
    assert np.array_equal(a, b)
    assert np.array_equal(a, weights(WIDE, Method=Automatic))
    assert np.array_equal(a, weights(WIDE, Method=["Kaiming", Rule("Distribution", "Normal")]))


def test_orthogonal():
    wide, tall = weights(LinearLayer(3, Input=5), Method="Orthogonal"), weights(LinearLayer(5, Input=3), Method="Orthogonal")
    np.testing.assert_allclose(wide @ wide.T, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(tall.T @ tall, np.eye(3), atol=1e-5)
    kernel = weights(ConvolutionLayer(4, 2, Input=[3, 4, 4]), Method="Orthogonal").reshape(4, -1)
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(4), atol=1e-5)


def test_random():
    net = NetInitialize(WIDE, Method="Random")
    assert np.std(net.arrays[("Weights",)]) == pytest.approx(1, rel=0.02)
    assert not np.any(net.arrays[("Biases",)])
    net = NetInitialize(WIDE, Method=["Random", {"Weights": 0.1, "Biases": UniformDistribution([2, 3])}])
    assert np.std(net.arrays[("Weights",)]) == pytest.approx(0.1, rel=0.02)
    assert 2 <= np.min(net.arrays[("Biases",)]) < np.max(net.arrays[("Biases",)]) <= 3
    moved = weights(WIDE, Method=["Random", {"Weights": NormalDistribution(5, 0.5)}])
    assert moved.mean() == pytest.approx(5, rel=0.01)


def test_identity():
    exact = NetInitialize(LinearLayer(3, Input=3), Method=["Identity", {"Distribution": 0}])
    np.testing.assert_allclose(exact([1.0, 2.0, 3.0]), [1, 2, 3])
    noisy = weights(LinearLayer(100, Input=100), Method="Identity") - np.eye(100)
    assert noisy.std() == pytest.approx(0.01, rel=0.05)
    kernel = NetInitialize(ConvolutionLayer(2, 3, PaddingSize=1, Input=[2, 4, 4]), Method=["Identity", {"Distribution": 0}])
    x = np.random.default_rng(1).normal(size=(2, 4, 4))
    np.testing.assert_allclose(kernel(x), x, rtol=1e-5)


@pytest.mark.parametrize("method", ["Kaiming", "Xavier", "Orthogonal", "Random", "Identity"])
def test_biases_and_states_start_as_the_layers_say(method):
    net = NetInitialize(NetChain([4, BatchNormalizationLayer()], Input=3), Method=method)
    assert not np.any(net.arrays["1", "Biases"])
    assert np.all(np.asarray(net.arrays["2", "Scaling"]) == 1)
    assert not np.any(net.arrays["2", "Biases"])
    assert not np.any(net.state["2", "MovingMean"])
    assert np.all(np.asarray(net.state["2", "MovingVariance"]) == 1)


def test_only_what_is_missing_unless_all():
    given = np.ones((2, 3), np.float32)
    net = NetChain([LinearLayer(2, Weights=given), Ramp, 4], Input=3)
    filled = NetInitialize(net)
    assert np.array_equal(filled.arrays["1", "Weights"], given)
    assert NetInitialize(filled) is filled
    anew = NetInitialize(filled, All)
    assert not np.array_equal(anew.arrays["1", "Weights"], given)
    assert np.array_equal(anew.arrays["3", "Weights"], filled.arrays["3", "Weights"])
    trained = filled.with_arrays({path: value + 1 for path, value in filled.arrays.items()})
    assert NetInitialize(trained, All) == anew
    assert not net.arrays.keys() - {("1", "Weights")}, "the net itself stays"


def test_the_same_bits_again():
    net = NetChain([LinearLayer(4), LinearLayer(4)], Input=4)
    first = NetInitialize(net)
    assert first == NetInitialize(net) == NetInitialize(net, RandomSeeding=1234) == NetInitialize(net, RandomSeeding=Inherited)
    assert not np.array_equal(first.arrays["1", "Weights"], first.arrays["2", "Weights"])
    assert first != NetInitialize(net, RandomSeeding=1)
    assert NetInitialize(net, RandomSeeding=Automatic) != NetInitialize(net, RandomSeeding=Automatic)
    assert NetInitialize(net, RandomSeeding="x") == NetInitialize(net, RandomSeeding="x") != first
    np.random.seed(1)
    expected = np.random.random()
    np.random.seed(1)
    NetInitialize(net, RandomSeeding=5)
    assert np.random.random() == expected, "global seeds stay"


def test_an_array_does_not_depend_on_the_others():
    short, long = NetInitialize(NetChain([4], Input=3)), NetInitialize(NetChain([4, Ramp, 5], Input=3))
    assert np.array_equal(short.arrays["1", "Weights"], long.arrays["1", "Weights"])


def test_shared_arrays_are_made_once():
    parts = [LinearLayer(3, Weights=NetArray("w")), Ramp, LinearLayer(3, Weights=NetArray("w"), Biases=None)]
    net = NetInitialize(NetChain(parts, Input=3))
    assert set(net.arrays) == {("", "w"), ("1", "Biases")}
    inner = NetInitialize(NetMapOperator(FunctionLayer(lambda x: NetArray("v", Dimensions=[3]) * x), Input=[2, 3]))
    assert set(inner.arrays) == {("", "v")}
    assert inner.arrays["", "v"].shape == (3,)


REFUSED = {
    "method": ({"Method": "Kaming"}, "NetInitialize has no method 'Kaming'. Did you mean 'Kaiming'?"),
    "suboption": (
        {"Method": ["Xavier", {"Distributon": "Normal"}]},
        "The method 'Xavier' has no suboption 'Distributon'. Did you mean 'Distribution'?",
    ),
    "suboptions": ({"Method": ["Xavier", 3]}, "The suboptions of method 'Xavier' are a dict. Got 3."),
    "distribution": (
        {"Method": ["Xavier", {"Distribution": "Poisson"}]},
        'The Distribution of method \'Xavier\' is "Normal" or "Uniform".',
    ),
    "weights": (
        {"Method": ["Random", {"Weights": "wide"}]},
        "Weights is a number, NormalDistribution(m, s) or UniformDistribution([a, b]). Got 'wide'.",
    ),
    "seed": ({"RandomSeeding": 1.5}, "RandomSeeding is an integer, a string, Automatic or Inherited. Got 1.5."),
    "truth as seed": ({"RandomSeeding": True}, "RandomSeeding is an integer"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    options, words = REFUSED[case]
    with pytest.raises(DeclarationError) as caught:
        NetInitialize(WIDE, **options)
    assert str(caught.value).startswith(words)


def test_refused_forms():
    with pytest.raises(DeclarationError, match=r"NetInitialize takes a net\. Got 3\."):
        NetInitialize(3)
    with pytest.raises(DeclarationError, match="fills what is missing"):
        NetInitialize(WIDE, "All")
    with pytest.raises(
        UninitializedError, match=r"cannot make 1/Weights: the size is not known yet\. Declare the input: Input=\[\.\.\.\]"
    ):
        NetInitialize(NetChain([3]))
