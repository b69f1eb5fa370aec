"""PoolingLayer against the documented window, written out in NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from netdsl import Max, Mean, PoolingLayer, Total

FUNCTIONS = {"Max": (Max, np.max, -np.inf), "Mean": (Mean, np.mean, 0), "Total": (Total, np.sum, 0)}


def pooled(x, kernel, stride, pads, function, fill):
    x = np.pad(x, [(0, 0), *pads], constant_values=fill)
    sizes = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:], kernel, stride)]
    y = np.zeros((x.shape[0], *sizes))
    for place in itertools.product(*map(range, sizes)):
        window = tuple(slice(s * p, s * p + k) for s, p, k in zip(stride, place, kernel))
        for channel in range(len(x)):
            y[(channel, *place)] = function(x[(channel, *window)])
    return y


CASES = {
    "line": ((2, 7), [3], [2], [(0, 0)]),
    "line, padded": ((1, 5), [3], [1], [(1, 2)]),
    "plane, blocks": ((2, 5, 6), [2, 3], [2, 3], [(0, 0), (0, 0)]),
    "plane, overlapping": ((1, 4, 5), [3, 2], [1, 2], [(0, 0), (1, 0)]),
    "volume": ((1, 3, 4, 2), [2, 2, 1], [1, 2, 1], [(0, 1), (0, 0), (0, 0)]),
}


@pytest.mark.parametrize("interleaving", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("case", CASES)
def test_pooling(case, name, interleaving):
    shape, kernel, stride, pads = CASES[case]
    symbol, function, fill = FUNCTIONS[name]
    x = np.random.default_rng(1).normal(size=shape)
    expected = pooled(x, kernel, stride, pads, function, fill)
    given = np.moveaxis(x, 0, -1) if interleaving else x
    padding = [list(pad) for pad in pads]
    layer = PoolingLayer(kernel, stride, Function=symbol, PaddingSize=padding, Interleaving=interleaving, Input=list(given.shape))
    made = np.moveaxis(layer(given), -1, 0) if interleaving else layer(given)
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-6)


def test_the_stride_is_one_unless_given():
    x = np.arange(12.0).reshape(1, 3, 4)
    assert PoolingLayer(2)(x).tolist() == [[[5, 6, 7], [9, 10, 11]]]
    assert PoolingLayer(2, 2)(x).tolist() == [[[5, 7]]]


def test_same():
    x = np.array([[3.0, 1.0, 2.0, 5.0, 4.0]])
    assert PoolingLayer([2], 2, PaddingSize="Same")(x).tolist() == [[3, 5, 4]]
    assert PoolingLayer([3], PaddingSize="Same")(x).tolist() == [[3, 3, 5, 5, 5]]


def test_negative_numbers_are_larger_than_padding():
    assert PoolingLayer([3], PaddingSize=1)([[-3.0, -1.0, -2.0]]).tolist() == [[-1, -1, -1]]
