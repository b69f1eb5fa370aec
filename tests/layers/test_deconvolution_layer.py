"""DeconvolutionLayer against the documented sum in NumPy, and against PyTorch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from netdsl import (
    ConvolutionLayer,
    DeconvolutionLayer,
    ImageAugmentationLayer,
    LocalResponseNormalizationLayer,
    NetChain,
    NetInitialize,
    NormalizationLayer,
    PoolingLayer,
    Ramp,
    ResizeLayer,
    Scaled,
)
from netdsl.errors import DeclarationError, ShapeError


def spread(x, weights, biases, stride, cropped, dilation, groups):
    """Each element puts down a kernel: y[o, stride·q + dilation·k] += weights[c, o, k...] · x[c, q...]."""
    channels, per_group, *kernel = weights.shape
    sizes = [s * (n - 1) + d * (k - 1) + 1 for n, k, s, d in zip(x.shape[1:], kernel, stride, dilation)]
    y = np.zeros((per_group * groups, *sizes))
    for c, o in itertools.product(range(channels), range(per_group)):
        out = c // (channels // groups) * per_group + o
        for q in np.ndindex(*x.shape[1:]):
            for k in np.ndindex(*kernel):
                at = tuple(s * i + d * j for s, i, d, j in zip(stride, q, dilation, k))
                y[(out, *at)] += weights[(c, o, *k)] * x[(c, *q)]
    y = y[(slice(None), *(slice(low, n - high) for n, (low, high) in zip(sizes, cropped)))]
    return y + np.reshape(biases, (-1, *(1 for _ in sizes)))


CASES = {
    "line": ((2, 4), 3, [3], {}),
    "line, everything": ((2, 4), 2, [3], {"Stride": 3, "PaddingSize": [[2, 1]], "Dilation": 2}),
    "line, far apart": ((1, 3), 1, [2], {"Stride": 4}),
    "line, cropped beyond the kernel": ((1, 4), 2, [2], {"PaddingSize": 2}),
    "plane": ((2, 2, 3), 3, [2, 3], {}),
    "plane, each its own": ((2, 3, 2), 2, [3, 2], {"Stride": [2, 1], "PaddingSize": [[1, 0], 1], "Dilation": [1, 3]}),
    "plane, groups": ((4, 2, 3), 6, [2, 2], {"ChannelGroups": 2, "Stride": 2}),
    "plane, depthwise": ((3, 3, 3), 3, [2, 2], {"ChannelGroups": 3, "PaddingSize": 1}),
}


def made(case):
    shape, outputs, kernel, options = CASES[case]
    rng = np.random.default_rng(1)
    groups = options.get("ChannelGroups", 1)
    return rng.normal(size=shape), rng.normal(size=(shape[0], outputs // groups, *kernel)), rng.normal(size=outputs)


def settings(case):
    """Stride, what is cropped, dilation, of each dimension; and the groups."""
    _, _, kernel, options = CASES[case]

    def each(name, default):
        value = options.get(name, default)
        return value if isinstance(value, list) else [value] * len(kernel)

    cropped = [pair if isinstance(pair, list) else [pair, pair] for pair in each("PaddingSize", 0)]
    return each("Stride", 1), cropped, each("Dilation", 1), options.get("ChannelGroups", 1)


@pytest.mark.parametrize("interleaving", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_deconvolution(case, interleaving):
    x, weights, biases = made(case)
    _, outputs, kernel, options = CASES[case]
    given = np.moveaxis(x, 0, -1) if interleaving else x
    layer = DeconvolutionLayer(
        outputs, kernel, Interleaving=interleaving, Weights=weights, Biases=biases, Input=list(given.shape), **options
    )
    y = np.moveaxis(layer(given), -1, 0) if interleaving else layer(given)
    expected = spread(x, weights, biases, *settings(case))
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", [case for case in CASES if "PaddingSize" not in CASES[case][3]])
def test_pytorch_computes_the_same(case):
    torch = pytest.importorskip("torch")
    x, weights, biases = map(torch.from_numpy, made(case))
    stride, _, dilation, groups = settings(case)
    function = (torch.nn.functional.conv_transpose1d, torch.nn.functional.conv_transpose2d)[len(stride) - 1]
    expected = function(x[None], weights, biases, stride=stride, dilation=dilation, groups=groups)[0]
    _, outputs, kernel, options = CASES[case]
    layer = DeconvolutionLayer(outputs, kernel, Weights=weights.numpy(), Biases=biases.numpy(), **options)
    np.testing.assert_allclose(layer(x.numpy()), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_it_is_the_transpose_of_a_convolution():
    """⟨convolution(x), y⟩ = ⟨x, deconvolution(y)⟩ with the same weights."""
    rng = np.random.default_rng(2)
    weights, x, y = rng.normal(size=(3, 2, 2, 3)), rng.normal(size=(2, 5, 5)), rng.normal(size=(3, 3, 3))
    options = {"Stride": 2, "PaddingSize": [[1, 0], 1], "Weights": weights, "Biases": None}
    there, back = ConvolutionLayer(3, [2, 3], **options)(x), DeconvolutionLayer(2, [2, 3], **options)(y)
    np.testing.assert_allclose(np.sum(there * y), np.sum(x * back), rtol=1e-4)


def test_a_chain_equals_one_after_the_other():
    """Whichever way the axes are ordered between the layers."""
    net = NetInitialize(
        NetChain(
            [
                ConvolutionLayer(6, 3),
                Ramp,
                LocalResponseNormalizationLayer(),
                PoolingLayer(2, 2),
                DeconvolutionLayer(4, [3, 2], Stride=2, ChannelGroups=2),
                ResizeLayer([Scaled(2), 9]),
                PoolingLayer(2, 2),
                NormalizationLayer(),
                ImageAugmentationLayer([5, 3]),
                ResizeLayer([Scaled(2), Scaled(3)], Resampling="Nearest"),
                ConvolutionLayer(2, 2),
            ],
            Input=[3, 8, 9],
        )
    )
    x = y = np.random.default_rng(3).normal(size=(4, 3, 8, 9))
    for layer in net:
        y = layer(y)
    np.testing.assert_allclose(net(x), y, rtol=1e-4, atol=1e-5)


def test_sizes_follow_both_ways():
    layer = DeconvolutionLayer(2, [3, 2], Stride=[2, 3], PaddingSize=[1, [0, 1]], ChannelGroups=2)
    assert layer.changed(Ports={"Input": [4, 5, 6]}).port_type("Output").sizes == (2, 9, 16)
    assert layer.changed(Ports={"Output": [2, 9, 16]}).port_type("Input").sizes == (None, 5, 6)
    assert layer.changed(Weights=np.ones((4, 1, 3, 2))).port_type("Input").sizes == (4, None, None)
    assert layer.changed(Ports={"Input": [4, 5, 6]}).solved.arrays[("Weights",)].sizes == (4, 1, 3, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DeconvolutionLayer(2, [3], Stride=2, Output=[2, 6]), "cannot give size 6: its sizes are 3 and 2 more each"),
        (lambda: DeconvolutionLayer(2, [2], PaddingSize=1, Input=[2, 1]), "crops 2 elements of 2"),
        (lambda: DeconvolutionLayer(2, 2, ChannelGroups=2, Input=[3, 2, 2]), "does not divide the 3 channels of its input"),
        (lambda: DeconvolutionLayer(2, 2, Input=[1, 2, 2, 2]), "takes an array of rank 2 to 3: a channel and 1 to 2 dimensions"),
        (lambda: DeconvolutionLayer(2, [2], Interleaving=True, Input=["Varying", 2]), "takes fixed sizes, not a varying one"),
    ],
)
def test_shapes_that_cannot_be(make, message):
    with pytest.raises(ShapeError, match=message):
        make()


def test_settings_that_cannot_be():
    with pytest.raises(DeclarationError, match=r"DeconvolutionLayer works in 1 to 2 dimensions\. The settings of .* say 3\."):
        DeconvolutionLayer(2, [2, 2, 2])
    with pytest.raises(DeclarationError, match="ChannelGroups of DeconvolutionLayer must divide the 3 output channels"):
        DeconvolutionLayer(3, 2, ChannelGroups=2)
    with pytest.raises(DeclarationError, match="PaddingSize parameter of DeconvolutionLayer must be an integer of at least 0"):
        DeconvolutionLayer(3, 2, PaddingSize="Same")
