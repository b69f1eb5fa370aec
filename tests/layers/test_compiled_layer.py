"""CompiledLayer: functions of NumPy on the host, one example at a time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    AggregationLayer,
    CompiledLayer,
    EmbeddingLayer,
    EncodingError,
    LinearLayer,
    NetChain,
    NetInitialize,
    NetMapOperator,
    NetReplacePart,
    NetTrain,
    Ramp,
    Rule,
    ShapeError,
    Total,
    UnsupportedError,
)
from netdsl.lowering.inputs import pad_sequences
from netdsl.nets import Sequence

RNG = np.random.default_rng(0)


def halves(x):
    return np.array([x[: len(x) // 2].sum(), x[len(x) // 2 :].sum()])


def halves_back(x, slope):
    return np.repeat(slope, [len(x) // 2, len(x) - len(x) // 2])


def test_it_runs_numpy_on_one_example_at_a_time():
    seen = []

    def forward(x):
        seen.append((type(x), x.shape, x.dtype))
        return halves(x)

    x = RNG.normal(size=(300, 5))
    layer = CompiledLayer(forward, Input=5, Output=2)
    np.testing.assert_allclose(layer(x), [halves(each) for each in x], rtol=1e-5)
    assert set(seen) == {(np.ndarray, (5,), np.dtype("float32"))}


def test_in_nets_and_maps_and_on_numbers():
    x = RNG.normal(size=(4, 3, 5))
    np.testing.assert_allclose(
        NetMapOperator(CompiledLayer(halves), Input=[3, 5])(x), [[halves(row) for row in each] for each in x], rtol=1e-5
    )
    assert CompiledLayer(lambda x: float(x) ** 2, Input="Real")([1.0, 3.0]).tolist() == [1, 9]
    assert CompiledLayer(lambda a, b: a[b - 1], b="Integer")({"a": [1.0, 5.0, 7.0], "b": 2}) == 5


def test_the_size_is_declared_or_tried():
    assert CompiledLayer(halves, Input=5).port_type("Output").sizes == (2,)
    assert NetChain([CompiledLayer(halves), 3], Input=7).solved.arrays["2", "Weights"].sizes == (3, 2)
    calls = []

    def counted(x):
        calls.append(x)
        return halves(x)

    NetChain([CompiledLayer(counted), Ramp], Input=4, Output=2)
    CompiledLayer(counted, Input=4, Output=2)
    CompiledLayer(counted)
    assert not calls, "what follows from others is not tried"

    def strict(x):
        assert x.sum()
        return x

    with pytest.raises(ShapeError, match=r"needs a declared size, Output=\[…\]: its function fails for zeros"):
        CompiledLayer(strict, Input=3)
    assert CompiledLayer(strict, Input=3, Output=3)([1.0, 2.0, 3.0]).tolist() == [1, 2, 3]


def test_integers():
    net = NetChain(
        [CompiledLayer(lambda x: np.argmax(x) + 1, Output="Integer"), EmbeddingLayer(2, 3, Weights=np.eye(3, 2))], Input=3
    )
    np.testing.assert_array_equal(net([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), [[0, 1], [1, 0]])
    assert isinstance(CompiledLayer(lambda x: np.argmax(x), Input=3)([0.0, 2.0, 1.0]), float)


def test_training_through_it():
    x = RNG.normal(size=(64, 4))
    net = NetChain([LinearLayer(4), CompiledLayer(halves, halves_back), LinearLayer(1)], Input=4)
    same = NetChain(
        [
            LinearLayer(4),
            LinearLayer(2, Weights=[[1, 1, 0, 0], [0, 0, 1, 1]], Biases=None, LearningRateMultipliers=0),
            LinearLayer(1),
        ],
        Input=4,
    )
    options = {"MaxTrainingRounds": 5, "TrainingProgressReporting": None}
    data = Rule(x, x.sum(axis=1, keepdims=True))
    start, other = NetInitialize(net), NetInitialize(same)
    other = other.with_arrays({path: start.arrays[path] for path in start.arrays})
    a, b = NetTrain(start, data, **options), NetTrain(other, data, **options)
    for path, value in a.arrays.items():
        np.testing.assert_allclose(value, b.arrays[path], rtol=1e-4, atol=1e-5)
    assert not np.array_equal(a.arrays["1", "Weights"], start.arrays["1", "Weights"])


def test_without_backward_only_what_follows_is_trained():
    data, options = (
        Rule(RNG.normal(size=(32, 4)), RNG.normal(size=(32, 1))),
        {"MaxTrainingRounds": 2, "TrainingProgressReporting": None},
    )
    NetTrain(NetChain([Ramp, CompiledLayer(halves), 1], Input=4), data, **options)
    NetTrain(NetChain([LinearLayer(4, LearningRateMultipliers=0), CompiledLayer(halves), 1], Input=4), data, **options)
    with pytest.raises(
        UnsupportedError, match=r"CompiledLayer\(halves\) has no Backward, so that nothing before it can be trained"
    ):
        NetTrain(NetChain([LinearLayer(4), CompiledLayer(halves), 1], Input=4), data, **options)


def fail(x):
    if x[0] > 0:
        raise ValueError("it is positive\nand more")
    return x


def test_failures_are_told_in_words():
    layer = CompiledLayer(fail, Input=2, Output=2)
    assert layer([-1.0, 2.0]).tolist() == [-1, 2]
    with pytest.raises(
        EncodingError, match=r"^CompiledLayer\(fail.*\): its function failed: ValueError: it is positive\nand more$"
    ):
        layer([[-1.0, 2.0], [1.0, 2.0]])
    with pytest.raises(EncodingError, match=r"its function must give an array of size 3. It gave array\("):
        CompiledLayer(halves, Input=4, Output=3)([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(EncodingError, match="must give a number"):
        CompiledLayer(lambda x: "text", Input=4, Output="Real")([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(EncodingError, match="its Backward must give an array of size 4"):
        NetTrain(
            NetChain([LinearLayer(4), CompiledLayer(halves, lambda x, slope: slope)], Input=4),
            Rule(RNG.normal(size=(8, 4)), RNG.normal(size=(8, 2))),
            MaxTrainingRounds=1,
            TrainingProgressReporting=None,
        )


def test_two_functions_that_trace_alike_are_two():
    def a(x):
        return x + (2 if isinstance(x, np.ndarray) else 1)

    def b(x):
        return x + (3 if isinstance(x, np.ndarray) else 1)

    assert CompiledLayer(a, Input=2, Output=2)([0.0, 0.0]).tolist() == [2, 2]
    assert CompiledLayer(b, Input=2, Output=2)([0.0, 0.0]).tolist() == [3, 3]


def test_many_examples_shared_among_cores():
    net = NetInitialize(NetChain([LinearLayer(512), CompiledLayer(halves), LinearLayer(1)], Input=512))
    x = RNG.normal(size=(3000, 512)).astype(np.float32)
    arrays = {path: np.asarray(value, float) for path, value in net.arrays.items()}
    hidden = x @ arrays["1", "Weights"].T
    expected = np.stack([hidden[:, :256].sum(1), hidden[:, 256:].sum(1)], axis=1) @ arrays["3", "Weights"].T
    np.testing.assert_allclose(net(x), expected, rtol=1e-3, atol=1e-3)
    broken = NetReplacePart(net, {2: CompiledLayer(lambda x: x[:1], Output=2)})
    with pytest.raises(EncodingError, match="must give an array of size 2"):
        broken(x)


def test_the_function_may_change_what_it_gets():
    def inplace(x):
        x += 1
        return x

    x = np.zeros((3, 2), np.float32)
    assert CompiledLayer(inplace, Input=2, Output=2)(x).tolist() == [[1, 1]] * 3
    assert not x.any()


# Sequences


def sums(x):
    return np.cumsum(x, axis=0)


def sums_back(x, slope):
    return np.flip(np.cumsum(np.flip(slope, 0), 0), 0)


def test_sequences_as_they_are():
    xs = [RNG.normal(size=(n, 2)).astype(np.float32) for n in (4, 1, 7)]
    seen = []

    def forward(x):
        seen.append(x.shape)
        return sums(x)

    for made, x in zip(CompiledLayer(forward, Input=["Varying", 2])(xs), xs):
        np.testing.assert_allclose(made, sums(x), rtol=1e-5)
    assert set(seen) == {(3, 2), (5, 2), *(x.shape for x in xs)}
    mean = CompiledLayer(lambda x: x.mean(0), Input=["Varying", 2])
    assert mean.port_type("Output").sizes == (2,)
    np.testing.assert_allclose(mean(xs), [x.mean(0) for x in xs], rtol=1e-5, atol=1e-6)
    last = CompiledLayer(lambda a, b: b[-1] + a, a=["Varying", 2], b=["Varying", 2], Output=["Varying", 2])
    for made, x in zip(last({"a": xs, "b": xs}), xs):
        np.testing.assert_allclose(made, x + x[-1], rtol=1e-5)
    indices = CompiledLayer(lambda x: np.argsort(x) + 1, Input="Varying", Output=["Varying", "Integer"])
    assert [made.tolist() for made in indices([[3, 1, 2], [5]])] == [[2, 3, 1], [1]]


def test_training_through_a_function_of_sequences():
    xs = [RNG.normal(size=(n, 2)).astype(np.float32) for n in (4, 1, 7, 3)]
    head = [NetMapOperator(LinearLayer(2)), CompiledLayer(sums, sums_back), AggregationLayer(Total, 1)]
    net = NetInitialize(NetChain(head, Input=["Varying", 2]))
    weights = net.arrays["1", "Net", "Weights"]

    def loss(weights):
        made = [jnp.cumsum(x @ weights.T + net.arrays["1", "Net", "Biases"], axis=0).sum(0) for x in xs]
        return sum(jnp.sum(y**2) for y in made)

    def own(weights):
        data, lengths = pad_sequences(xs)
        arrays = {**net.arrays, ("1", "Net", "Weights"): weights}
        outputs, _ = net.function()(arrays, net.state, Sequence(data, lengths))
        return jnp.sum(outputs**2)

    np.testing.assert_allclose(jax.grad(own)(weights), jax.grad(loss)(weights), rtol=1e-4, atol=1e-4)


def test_what_a_function_of_sequences_must_give():
    with pytest.raises(ShapeError, match="one element for each of a sequence, or as many whatever its length"):
        CompiledLayer(lambda x: x[1:], Input=["Varying", 2])
    with pytest.raises(ShapeError, match="gives a sequence only where an input is one"):
        CompiledLayer(lambda x: x, Input=3, Output="Varying")
    with pytest.raises(EncodingError, match=r"must give an array of size 2\. It gave"):
        CompiledLayer(lambda x: x[:1], Input="Varying", Output="Varying")([1.0, 2.0])
