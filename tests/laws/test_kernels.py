"""The kernels of a platform compute what `apply` says, and its gradient."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from netdsl import ConvolutionLayer, Max, Mean, PoolingLayer, Total
from netdsl.lowering.kernels import KERNELS, LARGEST_WINDOW, convolution, pooling, uses_native_convolution
from netdsl.nets import Arrays

SOME = settings(max_examples=25, deadline=None, database=None, phases=[Phase.generate])


def _values(rng, *sizes):
    return jnp.asarray(rng.permutation(int(np.prod(sizes))).reshape(sizes) / 7.0 - 3, jnp.float32)


@st.composite
def windows(draw, dilated):
    dimensions = draw(st.integers(1, 3))
    each = st.integers(1, 3 if dimensions < 3 else 2)
    kernel = [draw(each) for _ in range(dimensions)]
    dilation = [draw(st.integers(1, 2)) if dilated else 1 for _ in range(dimensions)]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    padding = draw(
        st.one_of(
            st.just("Same"), st.just(0), st.tuples(*(st.tuples(st.integers(0, r - 1), st.integers(0, r - 1)) for r in reach))
        )
    )
    return {
        "kernel": kernel,
        "Stride": [draw(each) for _ in range(dimensions)],
        "PaddingSize": padding if isinstance(padding, (str, int)) else [list(pair) for pair in padding],
        "Dilation": dilation,
        "sizes": [r + draw(st.integers(0, 3)) for r in reach],
    }


def _compare(layer, kernel, arrays, x):
    def observed(arrays, x):
        made = []
        for function in (lambda a, v: kernel(layer, Arrays(a), v), lambda a, v: layer.apply(Arrays(a), v)):
            y, back = jax.vjp(function, arrays, x)
            made.append((y, back(jnp.cos(jnp.arange(y.size)).reshape(y.shape))))
        return made

    by_kernel, by_apply = jax.jit(observed)(arrays, x)
    for a, b in zip(jax.tree_util.tree_leaves(by_kernel), jax.tree_util.tree_leaves(by_apply), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)


@seed(1)
@SOME
@given(windows(True), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_convolution(window, channels, outputs, biases):
    rng = np.random.default_rng(3)
    layer = ConvolutionLayer(
        outputs,
        window["kernel"],
        Stride=window["Stride"],
        PaddingSize=window["PaddingSize"],
        Dilation=window["Dilation"],
        Interleaving=True,
    )
    arrays = {"Weights": _values(rng, outputs, channels, *window["kernel"]), "Biases": _values(rng, outputs) if biases else None}
    _compare(layer, convolution, arrays, _values(rng, *window["sizes"], channels))


@seed(1)
@SOME
@given(windows(False), st.integers(1, 3), st.sampled_from([Max, Mean, Total]))
def test_pooling(window, channels, function):
    layer = PoolingLayer(
        window["kernel"], window["Stride"], Function=function, PaddingSize=window["PaddingSize"], Interleaving=True
    )
    _compare(layer, pooling, {}, _values(np.random.default_rng(3), *window["sizes"], channels))


def test_pooling_blocks_and_what_is_left_over():
    x = _values(np.random.default_rng(1), 5, 7, 2)
    for function in (Max, Mean, Total):
        _compare(PoolingLayer([2, 3], [2, 3], Function=function, Interleaving=True), pooling, {}, x)


def test_what_is_left_to_apply():
    grouped = ConvolutionLayer(2, [1], ChannelGroups=2, Interleaving=True)
    assert uses_native_convolution(grouped, (4, 2))
    assert convolution(grouped, Arrays({"Weights": jnp.ones((2, 1, 1)), "Biases": None}), jnp.ones((4, 2))) is None
    assert pooling(PoolingLayer([LARGEST_WINDOW + 1], Interleaving=True), Arrays({}), jnp.ones((40, 1))) is None
    assert set(KERNELS["cpu"]) == {ConvolutionLayer, PoolingLayer}
