"""ConvolutionLayer against the documented sum, written out in NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from netdsl import ConvolutionLayer, NetChain, Ramp
from netdsl.errors import DeclarationError


def convolved(x, weights, biases, stride, pads, dilation, groups):
    """y[o, p...] = biases[o] + Σ weights[o, c, k...] · x[c, stride·p + dilation·k - padding]."""
    x = np.pad(x, [(0, 0), *pads])
    outputs, per_group, *kernel = weights.shape
    sizes = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[1:], kernel, stride, dilation)]
    y = np.zeros((outputs, *sizes))
    for o in range(outputs):
        first = o // (outputs // groups) * per_group
        for place in itertools.product(*map(range, sizes)):
            for c, *k in itertools.product(range(per_group), *map(range, kernel)):
                at = tuple(s * p + d * j for s, p, d, j in zip(stride, place, dilation, k))
                y[(o, *place)] += weights[(o, c, *k)] * x[(first + c, *at)]
        y[o] += biases[o]
    return y


CASES = {
    "line": ((2, 6), 3, [3], {}),
    "line, everything": ((2, 9), 2, [2], {"Stride": 3, "PaddingSize": [[2, 1]], "Dilation": 2}),
    "plane": ((2, 4, 5), 3, [2, 3], {}),
    "plane, padded on all sides": ((1, 3, 4), 2, [2, 2], {"PaddingSize": 1}),
    "plane, each its own": ((2, 5, 6), 2, [3, 2], {"Stride": [2, 1], "PaddingSize": [[1, 0], [0, 2]], "Dilation": [1, 3]}),
    "plane, padding by dimension": ((1, 4, 4), 1, [3, 3], {"PaddingSize": [0, 1]}),
    "plane, groups": ((4, 3, 3), 6, [2, 2], {"ChannelGroups": 2}),
    "plane, depthwise": ((3, 4, 4), 3, [2, 2], {"ChannelGroups": 3, "Stride": 2}),
    "volume": ((2, 3, 4, 3), 2, [2, 2, 1], {"Stride": [1, 2, 1], "PaddingSize": [0, 1, 0]}),
    "one size for all": ((1, 4, 3), 2, 2, {}),
}


@pytest.mark.parametrize("interleaving", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_convolution(case, interleaving):
    shape, outputs, kernel, options = CASES[case]
    rng = np.random.default_rng(1)
    dimensions = len(shape) - 1
    sizes = kernel if isinstance(kernel, list) else [kernel] * dimensions
    groups = options.get("ChannelGroups", 1)
    x, weights, biases = rng.normal(size=shape), rng.normal(size=(outputs, shape[0] // groups, *sizes)), rng.normal(size=outputs)

    def each(name, default):
        value = options.get(name, default)
        return value if isinstance(value, list) else [value] * dimensions

    pads = [pad if isinstance(pad, list) else (pad, pad) for pad in each("PaddingSize", 0)]
    expected = convolved(x, weights, biases, each("Stride", 1), pads, each("Dilation", 1), groups)
    given = np.moveaxis(x, 0, -1) if interleaving else x
    layer = ConvolutionLayer(
        outputs, kernel, Interleaving=interleaving, Weights=weights, Biases=biases, Input=list(given.shape), **options
    )
    made = np.moveaxis(layer(given), -1, 0) if interleaving else layer(given)
    assert made.shape == expected.shape
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "stride", "kernel", "dilation"), [(5, 1, 3, 1), (5, 2, 2, 1), (6, 2, 3, 1), (7, 3, 2, 2), (4, 1, 2, 1)]
)
def test_same_divides_the_size_by_the_stride_and_pads_the_odd_element_after(size, stride, kernel, dilation):
    rng = np.random.default_rng(2)
    x, weights = rng.normal(size=(1, size)), rng.normal(size=(1, 1, kernel))
    layer = ConvolutionLayer(
        1, [kernel], Stride=stride, Dilation=dilation, PaddingSize="Same", Weights=weights, Biases=None, Input=[1, size]
    )
    out = -(-size // stride)
    total = max((out - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    expected = convolved(x, weights, [0], [stride], [(total // 2, total - total // 2)], [dilation], 1)
    assert layer.port_type("Output").sizes == (1, out)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_sizes_backwards_only_for_stride_one():
    assert ConvolutionLayer(2, 3, PaddingSize=1, Dilation=2, Output=[2, 5, 6]).port_type("Input").sizes == (None, 7, 8)
    assert ConvolutionLayer(2, 3, PaddingSize="Same", Output=[2, 5]).port_type("Input").sizes == (None, 5)
    assert ConvolutionLayer(2, 3, Stride=[1, 2], Output=[2, 5, 6]).port_type("Input").sizes == (None, 7, None)
    grouped = ConvolutionLayer(2, 2, ChannelGroups=2, Weights=np.ones((2, 3, 2, 2)))
    assert grouped.port_type("Input").sizes == (6, None, None)


def test_a_chain_of_them_equals_one_after_the_other():
    rng = np.random.default_rng(3)
    a, b, x = rng.normal(size=(3, 2, 2, 2)), rng.normal(size=(2, 3, 2, 1)), rng.normal(size=(2, 4, 4))
    first = ConvolutionLayer(3, 2, Weights=a, Biases=None)
    net = NetChain([first, Ramp, ConvolutionLayer(2, [2, 1], Weights=b, Biases=[1, 2])], Input=[2, 4, 4])
    inner = np.maximum(convolved(x, a, [0] * 3, [1, 1], [(0, 0)] * 2, [1, 1], 1), 0)
    expected = convolved(inner, b, [1, 2], [1, 1], [(0, 0)] * 2, [1, 1], 1)
    np.testing.assert_allclose(net(x), expected, rtol=1e-4, atol=1e-5)


def test_settings_that_disagree():
    with pytest.raises(DeclarationError, match=r"disagree on the number of dimensions: KernelSize says 2, Stride says 1"):
        ConvolutionLayer(2, [3, 3], Stride=[1])
    with pytest.raises(DeclarationError, match=r"ChannelGroups of ConvolutionLayer must divide the 3 output channels. Got 2\."):
        ConvolutionLayer(3, 2, ChannelGroups=2)
