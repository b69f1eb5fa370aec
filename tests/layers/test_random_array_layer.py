"""RandomArrayLayer against the distributions of SciPy: Kolmogorov-Smirnov, frequencies and moments, with fixed seeds."""

from __future__ import annotations

import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import netdsl
from netdsl import (
    BernoulliDistribution,
    BinomialDistribution,
    ChiDistribution,
    ChiSquareDistribution,
    DeclarationError,
    DiscreteUniformDistribution,
    ErlangDistribution,
    ExpGammaDistribution,
    ExponentialDistribution,
    GammaDistribution,
    HalfNormalDistribution,
    InverseGammaDistribution,
    LinearLayer,
    LogGammaDistribution,
    MaxwellDistribution,
    NakagamiDistribution,
    NegativeBinomialDistribution,
    NetChain,
    NetGraph,
    NetMapOperator,
    NetPort,
    NetTrain,
    NormalDistribution,
    Plus,
    PoissonDistribution,
    RandomArrayLayer,
    RayleighDistribution,
    ShapeError,
    UniformDistribution,
    WeibullDistribution,
)
from netdsl.distributions import DISTRIBUTIONS

COUNT = 20_000

CONTINUOUS = [
    (NormalDistribution(1, 2), stats.norm(1, 2)),
    (UniformDistribution([-1, 3]), stats.uniform(-1, 4)),
    (GammaDistribution(0.7, 2), stats.gamma(0.7, scale=2)),
    (GammaDistribution(4, 0.5), stats.gamma(4, scale=0.5)),
    (ExponentialDistribution(3), stats.expon(scale=1 / 3)),
    (MaxwellDistribution(1.5), stats.maxwell(scale=1.5)),
    (RayleighDistribution(2), stats.rayleigh(scale=2)),
    (ChiDistribution(3), stats.chi(3)),
    (HalfNormalDistribution(0.5), stats.halfnorm(scale=math.sqrt(math.pi / 2) / 0.5)),
    (WeibullDistribution(1.7, 3), stats.weibull_min(1.7, scale=3)),
    (NakagamiDistribution(0.8, 2), stats.nakagami(0.8, scale=math.sqrt(2))),
    (ChiSquareDistribution(5), stats.chi2(5)),
    (ErlangDistribution(3, 2), stats.gamma(3, scale=0.5)),
    (ExpGammaDistribution(1.5, 2, -1), stats.loggamma(1.5, loc=-1, scale=2)),
    (InverseGammaDistribution(3, 2), stats.invgamma(3, scale=2)),
]
DISCRETE = [
    (PoissonDistribution(3.5), stats.poisson(3.5)),
    (PoissonDistribution(40), stats.poisson(40)),
    (BernoulliDistribution(0.3), stats.bernoulli(0.3)),
    (BinomialDistribution(7, 0.4), stats.binom(7, 0.4)),
    (NegativeBinomialDistribution(2.5, 0.4), stats.nbinom(2.5, 0.4)),
    (DiscreteUniformDistribution([-2, 4]), stats.randint(-2, 5)),
]
EVERY = [*CONTINUOUS, *DISCRETE, (LogGammaDistribution(2, 0.1, 3), None)]


def drawn(distribution, seed=5):
    return RandomArrayLayer(distribution, Output=COUNT)(RandomSeeding=seed)


def test_every_distribution_is_tested_and_exported():
    assert {type(distribution).__name__ for distribution, _ in EVERY} == set(DISTRIBUTIONS) <= set(netdsl.__all__)
    assert len(DISTRIBUTIONS) == 20


@pytest.mark.parametrize(("distribution", "oracle"), CONTINUOUS, ids=lambda value: repr(value)[:40])
def test_continuous(distribution, oracle):
    values = drawn(distribution)
    assert values.dtype == np.float32
    assert stats.kstest(values.astype(float), oracle.cdf).pvalue > 0.01
    np.testing.assert_allclose(values.mean(dtype=float), oracle.mean(), atol=5 * oracle.std() / math.sqrt(COUNT))
    assert stats.kstest(values.astype(float) * 1.1, oracle.cdf).pvalue < 1e-6, "the test can fail"


@pytest.mark.parametrize(("distribution", "oracle"), DISCRETE, ids=lambda value: repr(value)[:40])
def test_discrete(distribution, oracle):
    values = drawn(distribution)
    assert values.dtype == np.float32
    assert np.all(values == np.round(values))
    np.testing.assert_allclose(values.mean(dtype=float), oracle.mean(), atol=5 * oracle.std() / math.sqrt(COUNT))
    np.testing.assert_allclose(values.var(dtype=float), oracle.var(), rtol=0.1)
    for value in np.unique(values):
        expected = oracle.pmf(value)
        assert abs(np.mean(values == value) - expected) < 5 * math.sqrt(expected / COUNT) + 1e-9


def test_log_gamma_is_the_exponential_of_gamma_numbers():
    values = drawn(LogGammaDistribution(2, 0.1, 3)).astype(float)
    assert values.min() >= 3
    assert stats.kstest(np.log(values - 3 + 1), stats.gamma(2, scale=0.1).cdf).pvalue > 0.01


def test_draws_are_fresh_at_each_evaluation_and_place_and_layer():
    layer = RandomArrayLayer(NormalDistribution(), Output=3)
    assert not np.array_equal(layer(), layer())
    assert np.array_equal(layer(RandomSeeding=3), layer(RandomSeeding=3))
    assert not np.array_equal(layer(RandomSeeding=3), layer(RandomSeeding=4))
    net = NetGraph(
        {
            "a": RandomArrayLayer(NormalDistribution(), Output=2),
            "b": RandomArrayLayer(NormalDistribution(), Output=2),
            "sum": Plus,
        },
        [
            (NetPort("Input"), "sum"),
            ("a", "sum"),
            ("b", "sum"),
            ("a", NetPort("A")),
            ("b", NetPort("B")),
            ("sum", NetPort("Sum")),
        ],
        Input=2,
    )
    made = net(np.zeros((600, 2)))
    assert len(np.unique(np.stack([made["A"], made["B"]]))) > 2390
    np.testing.assert_allclose(made["Sum"], np.asarray(made["A"]) + made["B"], rtol=1e-5, atol=1e-6)
    assert not np.array_equal(made["A"], net(np.zeros((600, 2)))["A"])


def test_draws_inside_a_map_differ_from_element_to_element():
    net = NetMapOperator(RandomArrayLayer(lambda x: NormalDistribution(x, 1e-3)), Input=[5])
    values = net(np.arange(5.0), RandomSeeding=1)
    assert len(np.unique(values - np.arange(5))) == 5
    np.testing.assert_allclose(values, np.arange(5), atol=0.01)


def test_parameters_are_taken_elementwise():
    mean, deviation = np.array([0.0, 10.0, -5.0]), np.array([1e-3, 1.0, 0.1])
    layer = RandomArrayLayer(lambda m, s: NormalDistribution(m, s))
    assert layer.input_names == ("m", "s")
    assert RandomArrayLayer(NormalDistribution).input_names == ("mean", "deviation")
    values = layer({"m": np.tile(mean, (4000, 1)), "s": np.tile(deviation, (4000, 1))}, RandomSeeding=1)
    np.testing.assert_allclose(np.mean(values, axis=0), mean, atol=0.1)
    np.testing.assert_allclose(np.std(values, axis=0), deviation, rtol=0.1)
    assert RandomArrayLayer(lambda p: BernoulliDistribution(p))([[0.0, 1.0, 1.0]]).tolist() == [[0, 1, 1]]


def test_what_cannot_be_gives_nan_and_no_slope():
    layer = RandomArrayLayer(lambda a: GammaDistribution(a, 2), Input=3)
    values = layer([1.0, -1.0, 0.0], RandomSeeding=1)
    assert np.isnan(values).tolist() == [False, True, True]
    f = layer.function()
    slope = jax.grad(lambda x: jnp.nansum(f({}, {}, x, jax.random.key(1))[0]))(jnp.array([[1.0, -1.0, 0.0]]))
    assert slope[0, 1:].tolist() == [0, 0]
    assert slope[0, 0] > 0


@pytest.mark.parametrize(
    ("function", "mean_slope"),
    [
        (lambda x: NormalDistribution(x, 1), lambda x: 1),
        (lambda x: NormalDistribution(0, x), lambda x: 0),
        (lambda x: GammaDistribution(x, 2), lambda x: 2),
        (lambda x: ChiSquareDistribution(x), lambda x: 1),
        (lambda x: ExponentialDistribution(x), lambda x: -1 / x**2),
        (lambda x: HalfNormalDistribution(x), lambda x: -1 / x**2),
        (lambda x: UniformDistribution([0, x]), lambda x: 0.5),
        (lambda x: PoissonDistribution(x), lambda x: 0),
    ],
)
def test_the_slope_of_the_mean(function, mean_slope):
    f = RandomArrayLayer(function, Input=COUNT).function()
    slopes = jax.grad(lambda x: jnp.sum(f({}, {}, x, jax.random.key(2))[0]))(jnp.full((1, COUNT), 1.5))
    assert np.all(np.isfinite(slopes))
    np.testing.assert_allclose(np.mean(slopes), mean_slope(1.5), atol=0.05)


def test_a_net_that_draws_can_be_trained_and_validated():
    # the noise has mean 0: it only adds to the loss
    net = NetGraph(
        {"m": LinearLayer(1), "noise": RandomArrayLayer(NormalDistribution(0, 0.1), Output=1), "sum": Plus},
        [(NetPort("Input"), "m"), (["m", "noise"], "sum")],
        Input=1,
    )
    x = np.linspace(-1, 1, 64)[:, None]
    trained = NetTrain(
        net,
        {"Input": x, "Output": 2 * x},
        Method="SGD",
        LearningRate=0.1,
        MaxTrainingRounds=100,
        ValidationSet={"Input": x, "Output": 2 * x},
        TrainingProgressReporting=None,
    )
    np.testing.assert_allclose(trained.arrays["m", "Weights"], 2, atol=0.1)


def test_sizes_flow_both_ways():
    net = NetChain([LinearLayer(), RandomArrayLayer(lambda x: NormalDistribution(x, 1)), LinearLayer(2)], Input=3)
    assert RandomArrayLayer(NormalDistribution, mean=[2, 3]).port_type("deviation").sizes == (2, 3)
    assert net.port_type("Output").sizes == (2,)
    with pytest.raises(ShapeError, match="equal size"):
        RandomArrayLayer(NormalDistribution, mean=2, deviation=[2, 2])
    with pytest.raises(ShapeError, match="fixed size"):
        RandomArrayLayer(NormalDistribution(), Output="Varying")
    with pytest.raises(ShapeError, match="does not know how many numbers to draw"):
        RandomArrayLayer(NormalDistribution())()


@pytest.mark.parametrize(
    ("distribution", "text"),
    [
        (NormalDistribution(0, -1), "The deviation of NormalDistribution must be a number greater than 0. Got -1 instead."),
        (ErlangDistribution(1.5, 1), "The shape of ErlangDistribution must be a positive integer. Got 1.5 instead."),
        (BernoulliDistribution(1.5), "The probability of BernoulliDistribution must be a number from 0 to 1. Got 1.5 instead."),
        (GammaDistribution("a", 1), "The shape of GammaDistribution must be a number greater than 0. Got 'a' instead."),
        (GammaDistribution(True, 1), "The shape of GammaDistribution must be a number greater than 0. Got True instead."),
        (UniformDistribution([2, 1]), "The bounds of UniformDistribution are the lower one and the higher one."),
        (lambda x: x, "its function must give a distribution"),
        (lambda x: x.no, "its function fails for numbers"),
    ],
)
def test_refusals(distribution, text):
    with pytest.raises(DeclarationError) as caught:
        RandomArrayLayer(distribution)
    assert text in str(caught.value)


@pytest.mark.parametrize("distribution", [each for each, _ in EVERY], ids=repr)
def test_distributions_are_values(distribution):
    assert eval(repr(distribution), vars(netdsl)) == distribution == pickle.loads(pickle.dumps(distribution))
    assert hash(distribution) == hash(pickle.loads(pickle.dumps(distribution)))
    with pytest.raises(AttributeError):
        setattr(distribution, next(iter(type(distribution).__dataclass_fields__)), 1)


def test_a_flax_module_of_it_draws_in_both_modes():
    from flax import nnx

    module = RandomArrayLayer(lambda x: NormalDistribution(x, 1), Input=2).to_flax(rngs=nnx.Rngs(0))
    x = jnp.zeros((3, 2))
    assert not np.array_equal(module(x), module(x))
    assert not np.array_equal(module(x, training=True), module(x, training=True))


def test_the_key_is_asked_for():
    function = RandomArrayLayer(NormalDistribution(), Output=2).function()
    with pytest.raises(DeclarationError, match=r"draws random numbers\. Call f\(arrays, state, inputs, jax.random.key\(1\)\)\."):
        function({}, {}, {})
