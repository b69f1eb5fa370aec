"""WorkingPrecision of evaluation: which types compute, what comes back, and what is refused."""

from __future__ import annotations

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from specimens import SPECIMENS, initialized, inputs

from netdsl import (
    Automatic,
    BatchNormalizationLayer,
    CrossEntropyLossLayer,
    DeclarationError,
    FlattenLayer,
    LinearLayer,
    NetChain,
    NetEncoder,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetPort,
    ReshapeLayer,
    Restricted,
    SoftmaxLayer,
    Tanh,
    UnsupportedError,
)
from netdsl.layers import EmbeddingLayer
from netdsl.lowering import compilations, run_batch
from netdsl.lowering.precision import PRECISIONS

RNG = np.random.default_rng(3)
X = RNG.normal(size=(50, 8))
NET = NetInitialize(NetChain([32, Tanh, LinearLayer(4), SoftmaxLayer()], Input=8))


def oracle(x):
    """The net by NumPy alone, in float64."""
    arrays = {path: np.asarray(value, np.float64) for path, value in NET.arrays.items()}
    hidden = np.tanh(x @ arrays["1", "Weights"].T + arrays["1", "Biases"])
    logits = hidden @ arrays["3", "Weights"].T + arrays["3", "Biases"]
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def equations(jaxpr):
    """All equations of a jaxpr and of those inside it."""
    for equation in jaxpr.eqns:
        yield equation
        for value in jax.tree.leaves(equation.params, is_leaf=lambda p: hasattr(p, "eqns") or hasattr(p, "jaxpr")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from equations(inner)


def traced(net, given, precision):
    """The primitives with the types of their inputs, of a loss of the net and its gradient, in training mode."""
    count = jax.tree.leaves(given)[0].shape[0] if given else 1

    def loss(arrays):
        outputs, _ = run_batch(
            net,
            arrays,
            net.state,
            given,
            seed=jax.random.key(1),
            indices=jnp.arange(count),
            weights=jnp.ones(count),
            training=True,
            refs=tuple(net.program.outputs.values()),
            compact=frozenset(),
            platform="cpu",
            precision=PRECISIONS[precision],
        )
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(outputs) if jnp.issubdtype(leaf.dtype, jnp.floating))

    with PRECISIONS[precision].active():
        jaxpr = jax.make_jaxpr(jax.grad(loss))(net.arrays).jaxpr
    return Counter((e.primitive.name, *sorted({v.aval.dtype.name for v in e.invars})) for e in equations(jaxpr))


# Real64


def test_real64_agrees_with_numpy_where_real32_cannot():
    single, double = NET(X), NET(X, WorkingPrecision="Real64")
    assert 1e-9 < np.abs(single - oracle(X)).max() < 1e-6
    np.testing.assert_allclose(double, oracle(X), rtol=1e-12, atol=0)
    assert (single.dtype, double.dtype) == (np.float32, np.float64)


def test_precisions_in_turn_do_not_mix():
    before = jax.config.jax_enable_x64
    first, wide, mixed = NET(X), NET(X, WorkingPrecision="Real64"), NET(X, WorkingPrecision="Mixed")
    again = {name: NET(X, WorkingPrecision=name) for name in ("Real32", "Mixed", "Real64")}
    assert first.tobytes() == again["Real32"].tobytes() == NET(X, WorkingPrecision=Automatic).tobytes()
    assert wide.tobytes() == again["Real64"].tobytes()
    assert mixed.tobytes() == again["Mixed"].tobytes() != first.tobytes()
    assert jax.config.jax_enable_x64 is before is False
    assert jnp.ones(()).dtype == jnp.float32
    traces = compilations()
    NET(X, WorkingPrecision="Real64")
    assert compilations() == traces


def test_functions_that_differ_only_beyond_32_bits_are_not_the_same():
    one, other = (NetChain([lambda x, factor=factor: x * factor]) for factor in (0.1, 0.1 + 1e-12))
    assert one([3.0])[0] == other([3.0])[0]
    values = [net([3.0], WorkingPrecision="Real64")[0] for net in (one, other, one)]
    assert values == [3.0 * 0.1, 3.0 * (0.1 + 1e-12), 3.0 * 0.1]


def test_inputs_of_every_kind_are_taken_in_float64():
    thirds = NetChain([lambda x: x * 1.0])
    for thing in ([1 / 3], np.array([1 / 3]), [[1 / 3]], np.array([2**30 + 1])):
        np.testing.assert_array_equal(thirds(thing, WorkingPrecision="Real64"), np.asarray(thing, np.float64))
    from_jax = thirds(jnp.array([1 / 3]), WorkingPrecision="Real64")
    assert type(from_jax) is np.ndarray
    assert from_jax.dtype == np.float64
    assert LinearLayer([], Weights=[[1.0]], Biases=None, Input=1)([1 / 3], WorkingPrecision="Real64") == 1 / 3
    varying = NetChain([Tanh], Input=["Varying"])([[1 / 3], [0.1, 0.2]], WorkingPrecision="Real64")
    np.testing.assert_allclose(np.concatenate(varying), np.tanh([1 / 3, 0.1, 0.2]), rtol=1e-15)


@pytest.mark.parametrize(
    ("encoder", "thing", "expected"),
    [
        (NetEncoder("Scalar"), [0.1, 0.7], [[0.1], [0.7]]),
        (NetEncoder("Function", lambda x: [x / 3, 1], 2), [0.1], [[0.1 / 3, 1]]),
        (NetEncoder("Image", (2, 1), ColorSpace="Grayscale"), np.array([[[7, 255]]], np.uint8), [[[[7 / 255, 1]]]]),
        (NetEncoder("Class", ["a", "b"], "IndicatorVector"), ["b"], [[0, 1]]),
    ],
    ids=lambda value: value.kind if hasattr(value, "kind") and hasattr(value, "encode") else "",
)
def test_encoders_compute_in_float64(encoder, thing, expected):
    made = NetChain([lambda x: x * 1.0], Input=encoder)(thing, WorkingPrecision="Real64")
    assert made.dtype == np.float64
    np.testing.assert_allclose(made, expected, rtol=1e-15)
    assert encoder(thing).dtype == np.float32


def test_arrays_of_the_users_keep_their_digits():
    weight = np.array([[1 / 3]])
    with jax.enable_x64(True):
        net = LinearLayer([], Weights=weight, Biases=None, Input=1)
    assert net([1.0], WorkingPrecision="Real64") == 1 / 3
    assert net([1.0]) == np.float32(1 / 3)


def test_traced_functions_may_ask_for_it():
    x = jnp.asarray(X[0], jnp.float32)
    made = jax.jit(lambda x: NET(x, WorkingPrecision="Real64"))(x)
    np.testing.assert_allclose(made, oracle(np.asarray(x, float)[None])[0], rtol=1e-12)
    mixed = jax.jit(lambda x: NET(x, WorkingPrecision="Mixed"))(x)
    assert mixed.dtype == jnp.float32
    np.testing.assert_allclose(mixed, NET(x), rtol=0.02)


def test_what_is_drawn_is_drawn_in_every_precision():
    from netdsl import DropoutLayer

    drop = NetChain([DropoutLayer(0.5)])
    made = [
        drop(np.ones(100), NetEvaluationMode="Train", RandomSeeding=5, WorkingPrecision=name)
        for name in ("Real32", "Real64", "Mixed")
    ]
    assert made[0].tolist() == made[1].tolist() == made[2].tolist()
    assert 20 < np.count_nonzero(made[0]) < 80


# Mixed


def test_mixed_is_near_and_comes_back_in_float32():
    single, mixed = NET(X), NET(X, WorkingPrecision="Mixed")
    assert mixed.dtype == np.float32
    assert 1e-5 < np.abs(mixed - single).max() < 0.02
    assert NET(X, NetPort([2, "Output"]), WorkingPrecision="Mixed").dtype == np.float32


DOTS = ("dot_general", "conv_general_dilated")
OWN_TYPES = {"flax module"}
"""What a Flax module does inside is its own."""


@pytest.mark.parametrize("specimen", [s for s in SPECIMENS if s.make().array_table() and s.name not in OWN_TYPES], ids=str)
def test_products_and_their_gradients_are_in_the_type_that_computes(specimen):
    net = initialized(specimen)
    counts = set()
    for name, wanted in (("Real32", "float32"), ("Real64", "float64"), ("Mixed", "bfloat16")):
        found = traced(net, inputs(specimen, net, 3), name)
        products = {tuple(types): count for (primitive, *types), count in found.items() if primitive in DOTS}
        assert set(products) <= {(wanted,)}
        counts.add(sum(products.values()))
    assert len(counts) == 1


def test_what_needs_float32_has_it():
    net = NetInitialize(
        NetGraph(
            {"net": NetChain([8, BatchNormalizationLayer(), Tanh, 4, SoftmaxLayer()]), "loss": CrossEntropyLossLayer("Index")},
            [NetPort("Input") >> "net" >> NetPort("loss", "Input")],
            Input=8,
        )
    )
    given = {"Input": jnp.asarray(X[:16], jnp.float32), "Target": jnp.arange(16) % 4 + 1}
    found = traced(net, given, "Mixed")
    by = {name: {tuple(types) for primitive, *types in found if primitive == name} for name in ("exp", "log", "rsqrt", "tanh")}
    assert by == {"exp": {("float32",)}, "log": {("float32",)}, "rsqrt": {("float32",)}, "tanh": {("bfloat16",)}}


def test_what_only_moves_numbers_does_not_round_them():
    net = NetChain([SoftmaxLayer(), FlattenLayer(), ReshapeLayer([2, 2]), NetMapOperator(FlattenLayer())], Input=4)
    x = [[1.0, 2.0, 3.0, 5.0]]
    np.testing.assert_allclose(net(x, WorkingPrecision="Mixed"), net(x), rtol=1e-6)


def test_gradients_of_a_row_used_often_add_up_in_float32():
    """In bfloat16 the sum of ones stops at 256."""
    net = NetInitialize(NetChain([EmbeddingLayer(1), FlattenLayer()], Input=[1000, Restricted("Integer", 2)]))
    given = {"Input": jnp.ones((1, 1000), jnp.int32)}

    def total(arrays):
        outputs, _ = run_batch(
            net,
            arrays,
            {},
            given,
            seed=None,
            indices=jnp.arange(1),
            weights=jnp.ones(1),
            training=False,
            refs=tuple(net.program.outputs.values()),
            compact=frozenset(),
            platform="cpu",
            precision=PRECISIONS["Mixed"],
        )
        return sum(map(jnp.sum, outputs.values()))

    assert jax.grad(total)(net.arrays)["1", "Weights"].tolist() == [[1000.0], [0.0]]


@pytest.mark.parametrize("form", ["Index", "Binary"])
def test_losses_are_finite_for_large_logits(form):
    from netdsl import ElementwiseLayer, LogisticSigmoid

    ends = SoftmaxLayer() if form == "Index" else ElementwiseLayer(LogisticSigmoid)
    net = NetGraph(
        {"scale": LinearLayer(2, Weights=[[1e4], [-1e4]], Biases=None), "ends": ends, "loss": CrossEntropyLossLayer(form)},
        [NetPort("Input") >> "scale" >> "ends" >> NetPort("loss", "Input")],
        Input=1,
    )
    target = 2 if form == "Index" else [0.0, 1.0]
    assert net({"Input": [1.0], "Target": target}, WorkingPrecision="Mixed") == pytest.approx(
        2e4 if form == "Index" else 1e4, rel=0.01
    )


# Refusals


@pytest.mark.parametrize("wrong", ["Real128", "mixed", 32, None, ["Real32"]], ids=str)
def test_unknown_values_are_refused(wrong):
    with pytest.raises(DeclarationError) as caught:
        NET(X, WorkingPrecision=wrong)
    assert str(caught.value) == f'WorkingPrecision is "Real32", "Real64", "Mixed" or Automatic. Got {wrong!r}.'


def test_half_precision_alone_is_not_supported():
    with pytest.raises(UnsupportedError) as caught:
        NET(X, WorkingPrecision="Real16")
    assert str(caught.value) == (
        'WorkingPrecision="Real16" is not supported. "Mixed" computes in 16 bits and keeps what is trained in 32.'
    )
