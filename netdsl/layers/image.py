"""Layers that are made for pictures: SpatialTransformationLayer and ImageAugmentationLayer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.constraints import POSITIVE, list_of, number
from netdsl.declarations import parameter
from netdsl.nets import Layer
from netdsl.shapes import ArrayType, Contradiction, Size

__all__ = ["ImageAugmentationLayer", "SpatialTransformationLayer"]

_HEIGHT_AND_WIDTH = list_of(POSITIVE, "a list of height and width", length=2)


class SpatialTransformationLayer(Layer):
    """A picture zoomed, skewed and moved by an affine map that is an input itself.

    y[c, i, j] = x[c] at (zh·h + sh·v + th, sv·h + zv·v + tv), interpolated linearly, where (h, v) is the place of (i, j): both run
    from -1 to 1 between the first and the last elements of a level; outside, x is 0 [M].

    Ports: Input {c, h0, w0}; Parameters {zh, sh, th, sv, zv, tv}, zoom, skew and translation of the horizontal, then of the vertical
    place; [1, 0, 0, 0, 1, 0] changes nothing; Output {c, h, w}, real.

    Parameters: Dimensions, a list of the output's height and width.

    >>> layer = SpatialTransformationLayer([1, 3])
    >>> layer({"Input": [[[1.0, 2.0, 3.0]]], "Parameters": [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}).tolist()
    [[[3.0, 2.0, 1.0]]]

    Differences from Wolfram: what is outside the picture is 0, and a level of size 1 is in the middle [M].
    Source: Wolfram's public reference page.
    """

    Dimensions: Any = parameter(_HEIGHT_AND_WIDTH, positional=True)

    arithmetic = "exact"
    signature = "Input: c h w, Parameters: 6 -> Output: c height width"

    def bound(self) -> dict[str, Size]:
        return dict(zip(("height", "width"), self.Dimensions))

    def apply(self, arrays: Any, x: Any, parameters: Any) -> Any:
        parameters = parameters.astype(jnp.result_type(parameters.dtype, jnp.float32))
        places = np.meshgrid(*(np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in self.Dimensions), indexing="ij")
        v, h = (jnp.asarray(place, parameters.dtype) for place in places)
        zh, sh, th, sv, zv, tv = parameters
        height, width = x.shape[1:]
        row = (sv * h + zv * v + tv + 1) / 2 * (height - 1)
        column = (zh * h + sh * v + th + 1) / 2 * (width - 1)

        def corner(i: Any, j: Any) -> Any:
            """The elements at whole places, weighted by how near they are; 0 outside."""
            inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
            weight = jnp.where(inside, (1 - jnp.abs(row - i)) * (1 - jnp.abs(column - j)), 0)
            at = (jnp.clip(k, 0, n - 1).astype(jnp.int32) for k, n in ((i, height), (j, width)))
            return weight * x[(slice(None), *at)]

        top, left = jnp.floor(row), jnp.floor(column)
        return corner(top, left) + corner(top, left + 1) + corner(top + 1, left) + corner(top + 1, left + 1)


class ImageAugmentationLayer(Layer):
    """A part of a picture: while training one at random, perhaps reflected; else the middle.

    y[c, i, j] = x[c, top + i, left + j], while training with i or j counted from the other end at random

    Ports: Input {c, h0, w0}; Output {c, h, w}, the same elements.

    Parameters: Dimensions, a list of the output's height h and width w, at most those of the input; ReflectionProbabilities, those
    of a vertical reflection (top and bottom change places) and a horizontal one (default [0, 0]).

    >>> ImageAugmentationLayer([1, 2])([[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 10.0, 11.0, 12.0]]]).tolist()
    [[[6.0, 7.0]]]

    Differences from Wolfram: RandomSeeding says what is drawn; where the middle lies between two places, the one before is
    taken [M]. Source: Wolfram's public reference page.
    """

    Dimensions: Any = parameter(_HEIGHT_AND_WIDTH, positional=True)
    ReflectionProbabilities: Any = parameter(list_of(number(0, 1), "a list of two numbers from 0 to 1", length=2), (0, 0))

    arithmetic = "none"
    signature = "c h w of e -> c height width of e"

    def bound(self) -> dict[str, Size]:
        return dict(zip(("height", "width"), self.Dimensions))

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        refined = self.by_signature(types)
        for have, needed in zip((refined["Input"].sizes or ())[1:], self.Dimensions):
            if isinstance(have, int) and have < needed:
                raise Contradiction(f"cuts {needed} elements out of a level, where there are {have}", "Input")
        return refined

    def apply(self, arrays: Any, x: Any, *, key: Any, training: bool) -> Any:
        room = [have - needed for have, needed in zip(x.shape[1:], self.Dimensions)]
        sizes = (len(x), *self.Dimensions)
        if not training:
            return jax.lax.dynamic_slice(x, (0, *(n // 2 for n in room)), sizes)
        places, chances = jax.random.split(key)
        start = [jax.random.randint(k, (), 0, n + 1, jnp.int32) for k, n in zip(jax.random.split(places), room)]
        x = jax.lax.dynamic_slice(x, (jnp.int32(0), *start), sizes)
        for axis, (k, chance) in enumerate(zip(jax.random.split(chances), self.ReflectionProbabilities), 1):
            x = jnp.where(jax.random.bernoulli(k, jnp.float32(chance)), jnp.flip(x, axis), x)
        return x
