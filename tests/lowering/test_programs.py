"""What compiles anew and what does not; what is the same net to the compiler."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    DropoutLayer,
    ElementwiseLayer,
    FunctionLayer,
    LinearLayer,
    LongShortTermMemoryLayer,
    NetArray,
    NetChain,
    NetInitialize,
    NetMapOperator,
    NetPort,
    NetTrain,
    Power,
    Ramp,
    SequenceLastLayer,
    SoftmaxLayer,
    Tanh,
    ThreadingLayer,
)
from netdsl.lowering import compilations, program_key
from netdsl.lowering.inputs import length_bucket, pad_sequences


def counted(action):
    before = compilations()
    action()
    return compilations() - before


def net(units=7, seed=1):
    return NetInitialize(NetChain([LinearLayer(units), Tanh, SoftmaxLayer()], Input=5), RandomSeeding=seed)


def test_a_second_net_of_equal_structure_compiles_nothing():
    first, second = net(seed=1), net(seed=2)
    x = np.ones((3, 5))
    assert counted(lambda: first(x)) == 1
    assert counted(lambda: first(2 * x)) == 0
    assert counted(lambda: second(x)) == 0
    assert not np.array_equal(first(x), second(x))
    named = NetInitialize(NetChain({"a": 7, "b": Tanh, "c": SoftmaxLayer()}, Input=5))
    assert counted(lambda: named(x)) <= 1
    changed = first.with_arrays({path: value + 1 for path, value in first.arrays.items()})
    assert counted(lambda: changed(x)) == 0
    assert not np.array_equal(first(x), changed(x))


def test_seeds_modes_and_batch_sizes():
    layer = NetChain([DropoutLayer(0.25), Ramp], Input=11)
    x = np.ones((3, 11))
    assert counted(lambda: layer(x, NetEvaluationMode="Train", RandomSeeding=1)) == 1
    assert counted(lambda: layer(x, NetEvaluationMode="Train", RandomSeeding=2)) == 0
    assert counted(lambda: layer(x)) == 1
    assert counted(lambda: layer(np.ones((4, 11)))) == 0
    assert counted(lambda: layer(x, NetPort(2, "Input"))) == 1


def test_numbers_of_other_types_are_other_programs():
    def powers(exponent):
        return ElementwiseLayer(lambda x: x**exponent, Input=3)

    assert program_key(DropoutLayer(1, Input=3)) != program_key(DropoutLayer(1.0, Input=3))
    assert program_key(powers(2)) != program_key(powers(2.5))
    assert program_key(powers(2)) == program_key(powers(2))
    assert program_key(NetChain([Ramp], Input=3)) != program_key(NetChain([Ramp], Input=4))
    assert program_key(NetChain([Ramp], Input=3)) != program_key(NetChain([Tanh], Input=3))
    assert program_key(NetChain([3], Input=2)) != program_key(NetChain([LinearLayer(3, Biases=None)], Input=2))
    assert program_key(NetChain([LinearLayer()], Input=2, Output=4)) != program_key(
        NetChain([LinearLayer()], Input=2, Output=[2, 2])
    )


def test_functions_count_as_what_they_trace_to():
    scale = 3.0
    for make in (lambda f: ElementwiseLayer(f, Input=3), lambda f: FunctionLayer(f, Input=3)):
        assert program_key(make(lambda x: x * scale)) == program_key(make(lambda y: y * 3.0))
        assert program_key(make(lambda x: x * 3)) == program_key(make(lambda x: x * 3))
        assert program_key(make(lambda x: x * 3.0)) != program_key(make(lambda x: x * 3.5))
    pair = [ThreadingLayer(f, InputPorts=2, Input1=2, Input2=2) for f in (lambda a, b: a - b, lambda a, b: b - a, Power)]
    assert len({program_key(layer) for layer in pair}) == 3
    mapped = [NetMapOperator(FunctionLayer(lambda x: x * 3.0), Input=[4, 3]) for _ in range(2)]
    assert program_key(mapped[0]) == program_key(mapped[1])


@pytest.mark.parametrize(
    "wrap", [lambda f: f, jax.jit, lambda f: lambda x: jax.lax.scan(lambda c, _: (f(c), None), x, None, length=2)[0]]
)
def test_constants_count_by_their_bytes(wrap):
    def layer(value):
        constant = np.zeros(3000, np.float32)
        constant[1234] = value
        return FunctionLayer(wrap(lambda x: x + constant), Input=3000)

    assert program_key(layer(1.0)) == program_key(layer(1.0))
    assert program_key(layer(1.0)) != program_key(layer(2.0))
    x = np.zeros(3000)
    assert layer(1.0)(x).sum() * 2 == layer(2.0)(x).sum()


def test_the_places_of_shared_arrays_and_the_names_of_outputs_count():
    a, b = NetArray("a", Dimensions=[2]), NetArray("b", Dimensions=[2])
    values = {("", "a"): [1.0, 2.0], ("", "b"): [10.0, 20.0]}
    one = FunctionLayer(lambda x: a * x + b, Input=2).with_arrays(values)
    other = FunctionLayer(lambda x: b * x + a, Input=2).with_arrays(values)
    np.testing.assert_allclose(one([1.0, 1.0]), [11, 22])
    np.testing.assert_allclose(other([2.0, 2.0]), [21, 42])
    listed = FunctionLayer(lambda x: (x, 2 * x), OutputPorts=["B", "A"], Input=2)
    named = FunctionLayer(lambda x: {"A": x, "B": 2 * x}, OutputPorts=["B", "A"], Input=2)
    assert listed([1.0, 1.0])["B"].tolist() == [1, 1]
    assert named([1.0, 1.0])["B"].tolist() == [2, 2]


def test_varying_lengths_share_programs():
    layer = NetInitialize(LongShortTermMemoryLayer(2, Input=["Varying", 3]))
    programs = counted(lambda: [layer(np.ones((n, 3))) for n in range(1, 33)])
    assert programs <= 2 * 5 + 1
    assert counted(lambda: [layer(np.ones((n, 3))) for n in range(1, 33)]) == 0


def test_lengths_round_up_to_at_most_two_sizes_an_octave():
    buckets = [length_bucket(n) for n in range(1, 1025)]
    assert all(bucket >= n for n, bucket in enumerate(buckets, 1))
    assert all(bucket < 2 * n or n == 1 for n, bucket in enumerate(buckets, 1))
    for octave in range(1, 10):
        assert len({b for b in buckets if 2**octave < b <= 2 ** (octave + 1)}) <= 2


def test_padding_repeats_the_last_element():
    data, lengths = pad_sequences([np.array([[1.0], [2.0]]), np.arange(5.0)[:, None]])
    assert lengths.tolist() == [2, 5]
    assert data.shape == (2, 6, 1)
    assert data[:, :, 0].tolist() == [[1, 2, 2, 2, 2, 2], [0, 1, 2, 3, 4, 4]]


def test_sequences_of_equal_length_stay_as_they_are_where_they_are_given_once():
    equal, different = [np.ones((5, 1))] * 3, [np.ones((5, 1)), np.ones((4, 1))]
    assert pad_sequences(equal)[0].shape == (3, 6, 1)
    assert pad_sequences(equal, bucketed=False)[0].shape == (3, 5, 1)
    assert pad_sequences(different, bucketed=False)[0].shape == (2, 6, 1)


def test_a_training_computes_no_padding_of_sequences_of_equal_length():
    seen = []
    layer = FunctionLayer(lambda x: seen.append(x.shape) or x, Varying="elementwise")
    net = NetChain([layer, LongShortTermMemoryLayer(2), SequenceLastLayer()], Input=["Varying", 1])
    for lengths, computed in (([9, 9, 9, 9], 9), ([9, 4, 3, 9], 12)):
        seen.clear()
        examples = {"Input": [np.ones((n, 1)) for n in lengths], "Output": np.zeros((4, 2))}
        NetTrain(net, examples, MaxTrainingRounds=1, TrainingProgressReporting=None)
        assert {shape for shape in seen if shape[0] > 5} == {(computed, 1)}


def test_gradients_with_respect_to_a_net_are_nets():
    layer = net()
    slope = jax.grad(lambda n: jnp.sum(n(jnp.ones(5)) ** 2))(layer)
    assert type(slope) is NetChain
    assert slope.arrays.keys() == layer.arrays.keys()
