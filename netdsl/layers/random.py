"""RandomArrayLayer: an array of random numbers, drawn anew at every evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.constraints import Constraint
from netdsl.declarations import parameter
from netdsl.distributions import CLASSES, check, draw, is_distribution
from netdsl.errors import DeclarationError, ShapeError, excerpt
from netdsl.layers.elementwise import equal_sizes
from netdsl.layers.function import argument_names
from netdsl.nets import Layer
from netdsl.shapes import REAL, ArrayType, Contradiction

__all__ = ["RandomArrayLayer"]


def _words(made: Any) -> str:
    return "numbers" if isinstance(made, jax.ShapeDtypeStruct) else excerpt(made)


def _distribution(value: Any) -> Any:
    if not is_distribution(value) and not callable(value):
        raise ValueError
    return value


class RandomArrayLayer(Layer):
    """An array of random numbers, drawn anew at every evaluation, in test mode too.

    y[i...] = a number drawn from d, or from d(a[i...], b[i...], …)

    Ports: none as input where the distribution is given, else one for each argument of the function (Input for one), arrays of
    equal size; Output, of that size, or of the one declared: Output=[2, 3]. Level 1 of the inputs may vary.

    Parameters: Distribution, a distribution such as ``NormalDistribution(0, 1)``, or a function that gives one,
    such as ``lambda m, s: NormalDistribution(m, s)`` or ``NormalDistribution`` itself.

    What is drawn depends on the option RandomSeeding of the evaluation alone, and on the example's place. Whole numbers are given
    as reals. Gradients of parameters are those of the draws; whole numbers have none. Parameters that a distribution cannot have
    give NaN.

    Raises DeclarationError for a distribution whose numbers cannot be, or a function that gives no distribution.

    >>> layer = RandomArrayLayer(UniformDistribution([2, 3]), Output=4)
    >>> bool((layer(RandomSeeding=1) == layer(RandomSeeding=1)).all()), bool((layer() == layer()).all())
    (True, False)

    Differences from Wolfram: the random numbers themselves; ports are named after arguments, not slots.
    Source: Wolfram's public reference page.
    """

    Distribution: Any = parameter(
        Constraint("a distribution or a function that gives one", _distribution, (3, "NormalDistribution")), positional=True
    )

    arithmetic = "exact"
    draws = "always"
    signature = "-> ..."
    varying = "elementwise"

    @property
    def input_names(self) -> tuple[str, ...]:
        if is_distribution(self.Distribution):
            return ()
        if self.Distribution in CLASSES.values():
            return tuple(self.Distribution.__dataclass_fields__)
        return self._cached("_input_names", lambda: argument_names(self.Distribution, repr(self)))

    def _check(self) -> None:
        if is_distribution(self.Distribution):
            check(self.Distribution)
        else:
            numbers = [jax.ShapeDtypeStruct((), jnp.float32) for _ in self.input_names]
            try:
                made = jax.eval_shape(self.Distribution, *numbers)
            except Exception as problem:  # a function of the user's may raise anything
                raise DeclarationError(f"{self!r}: its function fails for numbers: {excerpt(problem)}") from None
            if not is_distribution(made):
                raise DeclarationError(f"{self!r}: its function must give a distribution. It gives {_words(made)}.")
        super()._check()

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        sizes = None
        for name, type_ in types.items():
            sizes = equal_sizes(sizes, type_.sizes, name)
        if not self.input_names and types["Output"].varying:
            raise Contradiction("draws an array of fixed size, not a varying one", "Output")
        return {name: ArrayType(sizes, REAL if name == "Output" else None) for name in types}

    def apply(self, arrays: Any, *parameters: Any, key: Any, sizes: Any) -> Any:
        if parameters:
            dtype = jnp.result_type(jnp.float32, *parameters)
            return draw(self.Distribution(*(x.astype(dtype) for x in parameters)), key, parameters[0].shape, dtype)
        if sizes is None or None in sizes:
            raise ShapeError(f"{self!r} does not know how many numbers to draw. Declare its output: Output=[2, 3].")
        return draw(self.Distribution, key, sizes, jnp.result_type(float))
