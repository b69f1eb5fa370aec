"""Many examples are evaluated in parts, on all cores: the values are those of one example at a time, in their order."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    BatchNormalizationLayer,
    ConvolutionLayer,
    DropoutLayer,
    FlattenLayer,
    LinearLayer,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetGraph,
    NetInitialize,
    NetPort,
    Plus,
    PoolingLayer,
    Ramp,
    ReshapeLayer,
    SoftmaxLayer,
    Tanh,
)
from netdsl.lowering import compilations, cores, parts
from netdsl.lowering.precision import REAL32
from netdsl.nets import Net


def pictures() -> Net:
    """Layers for examples that come last, and layers that put them first again."""
    layers = [
        *(ConvolutionLayer(6, 5), Tanh, PoolingLayer(2, 2), ConvolutionLayer(4, [3, 2], Stride=2), BatchNormalizationLayer()),
        *(Ramp, DropoutLayer(0.5), PoolingLayer(2, 1), FlattenLayer(), LinearLayer([2, 5]), ReshapeLayer([5, 2]), Tanh),
        *(FlattenLayer(), 4, SoftmaxLayer()),
    ]
    return NetInitialize(NetChain(layers, Input=[2, 14, 15]), RandomSeeding=3)


NET = pictures()
X = np.random.default_rng(0).normal(size=(300, 2, 14, 15)).astype(np.float32)


@pytest.fixture(scope="module")
def expected() -> Any:
    """What `apply` says for one example after another, in a function that JAX traces: kernels have no part in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("netdsl.lowering.execution.KERNELS", {})
        return jax.lax.map(lambda x: NET.function()(NET.arrays, NET.state, x[None])[0][0], jnp.asarray(X))


@pytest.fixture
def on_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little there is to do."""
    monkeypatch.setattr(parts, "LEAST_WORK", 0)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 63, 64, 65, 129, 300])
@pytest.mark.parametrize("batch_size", [8, 20, 256])
def test_every_number_of_examples(batch_size: int, count: int, expected: Any, on_all_cores: None) -> None:
    values = NET(X[:count], BatchSize=batch_size)
    np.testing.assert_allclose(values, expected[:count], rtol=1e-5, atol=1e-6)


def test_several_dispatches(expected: Any, on_all_cores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of which has less to do than its room."""
    monkeypatch.setattr(parts, "DISPATCHED", 100_000)
    traced = compilations()
    np.testing.assert_allclose(NET(X, BatchSize=8), expected, rtol=1e-5, atol=1e-6)
    assert compilations() <= traced + 1


def test_on_one_core(expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "cores_available", lambda: 1)
    np.testing.assert_allclose(NET(X), expected, rtol=1e-5, atol=1e-6)


def test_little_work_is_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    net = NetInitialize(NetChain([3, Tanh], Input=2))
    monkeypatch.setattr(parts, "placed", lambda tree, mesh, seen: tree if mesh is None else pytest.fail("shared"))
    assert net(np.ones((1000, 2))).shape == (1000, 3)


def test_similar_numbers_of_examples_share_a_compilation(on_all_cores: None) -> None:
    net = NetInitialize(NetChain([5, Tanh], Input=2))
    net(np.ones((1000, 2)))
    traced = compilations()
    for count in (600, 777, 1024):
        net(np.ones((count, 2)))
    assert compilations() == traced


def test_several_ports_and_encoders(on_all_cores: None) -> None:
    net = NetInitialize(
        NetGraph(
            {"picture": NetChain([ConvolutionLayer(3, 3), FlattenLayer(), 4]), "number": 4, "sum": Plus},
            [(NetPort("Picture"), "picture"), (NetPort("Number"), "number"), (["picture", "number"], "sum")],
            Picture=NetEncoder("Image", (6, 6), ColorSpace="Grayscale"),
            Number=2,
            Output=NetDecoder("Class", ["a", "b", "c", "d"]),
        )
    )
    rng = np.random.default_rng(0)
    given = {"Picture": rng.integers(0, 256, (100, 6, 6), dtype=np.uint8), "Number": rng.normal(size=(100, 2))}
    together = net(given)
    alone = [net({port: values[i] for port, values in given.items()}) for i in range(100)]
    assert together == alone
    assert len(set(together)) > 1


def test_inner_wires_too(on_all_cores: None) -> None:
    """Also those of an increasing function that a pooling overtakes."""
    net = NetInitialize(NetChain({"c": ConvolutionLayer(2, 3), "t": Tanh, "p": PoolingLayer(2, 2)}, Input=[1, 6, 6]))
    x = np.random.default_rng(0).normal(size=(50, 1, 6, 6))
    got = net(x, [NetPort(["t", "Output"]), NetPort(["p", "Output"])])
    values = list(got.values()) if isinstance(got, dict) else got
    np.testing.assert_array_equal(values[1], values[0].reshape(50, 2, 2, 2, 2, 2).max(axis=(3, 5)))


def test_jax_arrays_come_back_where_they_were(on_all_cores: None) -> None:
    values = NET(jnp.asarray(X[:100]))
    assert isinstance(values, jax.Array)
    assert values.devices() == jnp.zeros(1).devices()


def test_an_example_of_no_number_spoils_no_other(on_all_cores: None) -> None:
    spoiled = X[:64].copy()
    spoiled[5] = np.nan
    values = NET(spoiled)
    assert np.isnan(values[5]).all()
    assert np.isfinite(np.delete(values, 5, axis=0)).all()


@pytest.mark.parametrize(("sizes", "part"), [([3], 256), ([16, 32, 32], 32), ([64, 224, 224], 8)])
def test_parts_fit_the_cache(sizes: list[int], part: int) -> None:
    net = NetChain([Ramp], Input=sizes)
    assert parts.part_size(net, REAL32, 1000) == part
    assert parts.part_size(net, REAL32, 5) == 4


def test_arrays_are_not_copied_to_the_cores(on_all_cores: None) -> None:
    """A large net does not take its memory again for each core."""
    net = NetInitialize(NetChain([1000, Tanh], Input=500))
    net(np.ones((600, 500)))
    count = cores.cores_available()
    if count == 1:
        pytest.skip("one core")
    there, _ = net.__dict__[f"_on_{count}_cores_Real32"]["there"]
    for path, value in net.arrays.items():
        shards = {shard.data.unsafe_buffer_pointer() for shard in there[path].addressable_shards}
        assert value.nbytes < 10_000 or shards == {value.unsafe_buffer_pointer()}
