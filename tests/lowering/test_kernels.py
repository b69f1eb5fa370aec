"""Each kernel of the CPU gives what the layer's own `apply` gives, and the same gradients."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import ConvolutionLayer, Max, Mean, NetInitialize, PoolingLayer, Total
from netdsl.lowering import kernels
from netdsl.nets import Arrays

rng = np.random.default_rng(0)

CONVOLUTIONS = [
    (ConvolutionLayer(3, 2), [2, 11, 13]),
    (ConvolutionLayer(3, 5, Stride=2), [2, 11, 13]),
    (ConvolutionLayer(50, 3, Stride=3, Dilation=2, PaddingSize=1), [2, 11, 13]),
    (ConvolutionLayer(200, 3, PaddingSize="Same"), [2, 7, 6]),
    (ConvolutionLayer(20, 1, Stride=2), [2, 7, 6]),
    (ConvolutionLayer(4, [3, 2], Dilation=[1, 2], Biases=None), [2, 9, 8]),
    (ConvolutionLayer(4, [2, 5], Interleaving=True), [9, 8, 2]),
    (ConvolutionLayer(4, [3], Stride=2), [2, 11]),
    (ConvolutionLayer(4, [2, 1, 3]), [2, 5, 4, 6]),
]

POOLINGS = [
    (PoolingLayer(size, stride, Function=function, PaddingSize=padding), [2, 11, 12])
    for function in (Max, Mean, Total)
    for size, stride, padding in ((2, 2, 0), (3, 2, "Same"), (1, 2, 0), (3, 3, 1))
]
POOLINGS += [(PoolingLayer([2], [2]), [2, 11]), (PoolingLayer([2, 3, 1], [2, 3, 1]), [2, 6, 7, 5])]


def _compare(kernel: Any, layer: Any, shape: list[int], x: Any) -> None:
    net = NetInitialize(layer.changed(Ports={"Input": shape}))
    arrays: dict[str, Any] = dict.fromkeys(net.array_declarations)
    arrays |= {name: rng.normal(size=value.shape).astype(np.float32) for (name,), value in net.arrays.items()}
    own = net.Interleaving

    def by_apply(arrays: Any, x: Any) -> Any:
        return net.apply(Arrays(arrays), x)

    def by_kernel(arrays: Any, x: Any) -> Any:
        y = kernel(net.rebuilt(Interleaving=True), Arrays(arrays), x if own else jnp.moveaxis(x, 0, -1))
        return y if own else jnp.moveaxis(y, -1, 0)

    expected = by_apply(arrays, x)
    np.testing.assert_allclose(by_kernel(arrays, x), expected, rtol=1e-4, atol=1e-4)
    slope = rng.normal(size=expected.shape).astype(np.float32)
    gradients = [jax.grad(lambda a, x, f=f: jnp.sum(f(a, x) * slope), argnums=(0, 1))(arrays, x) for f in (by_kernel, by_apply)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3), *gradients)


@pytest.mark.parametrize("views", [64, 0], ids=["blocks", "strided"])
@pytest.mark.parametrize(("layer", "shape"), CONVOLUTIONS, ids=[repr(layer) for layer, _ in CONVOLUTIONS])
def test_convolution(layer: Any, shape: list[int], views: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "MOST_VIEWS", views)
    _compare(kernels.convolution, layer, shape, jnp.asarray(rng.normal(size=shape), jnp.float32))


@pytest.mark.parametrize(("layer", "shape"), POOLINGS, ids=[repr(layer) for layer, _ in POOLINGS])
def test_pooling(layer: Any, shape: list[int]) -> None:
    different = rng.permutation(np.prod(shape)).reshape(shape)  # no ties, whose gradient may be shared in different ways
    _compare(kernels.pooling, layer, shape, jnp.asarray(different, jnp.float32))


def test_wide_pictures_make_few_views() -> None:
    net = NetInitialize(ConvolutionLayer(8, 3, Interleaving=True, Input=[200, 200, 3]))
    arrays = Arrays({name: value for (name,), value in net.arrays.items()})
    traced = jax.make_jaxpr(lambda x: kernels.convolution(net, arrays, x))(jnp.zeros((200, 200, 3)))
    assert len(traced.jaxpr.eqns) < 150
