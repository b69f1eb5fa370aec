"""The distributions that RandomArrayLayer draws from.

A distribution is one row: its parameters, each with the values it may have, how numbers are drawn for arrays of parameters, and
what it is. `NormalDistribution` and `UniformDistribution`, which other functions take too, are symbols.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, make_dataclass
from numbers import Real
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax, random

from netdsl import symbols
from netdsl.constraints import source_text
from netdsl.errors import DeclarationError, excerpt

__all__: list[str] = []


class Bounds(NamedTuple):
    """The values that a parameter may have: finite numbers from `low` to `high`, whole ones only, `low` itself left out. 1 is one."""

    words: str
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    without_low: bool = False

    def hold(self, value: Any) -> Any:
        """Where these values may be."""
        inside = jnp.isfinite(value) & (value <= self.high)
        inside &= value > self.low if self.without_low else value >= self.low
        return inside & (value == jnp.floor(value)) if self.whole else inside


NUMBER = Bounds("a number")
INTEGER = Bounds("an integer", whole=True)
POSITIVE = Bounds("a number greater than 0", 0, without_low=True)
NATURAL = Bounds("an integer of at least 0", 0, whole=True)
COUNT = Bounds("a positive integer", 1, whole=True)
PROBABILITY = Bounds("a number from 0 to 1", 0, 1)
POSITIVE_PROBABILITY = Bounds("a number greater than 0 and at most 1", 0, 1, without_low=True)


class Distribution(NamedTuple):
    """One row of the table; `draw` takes a key and an array of reals, all of one size and type, for each parameter.

    Where `ordered`, the parameters are one pair, and the first may not exceed the second.
    """

    parameters: Mapping[str, Bounds]
    draw: Callable[..., Any]
    doc: str
    ordered: bool = False


# Gamma numbers are drawn as logarithms: those of small shapes would round to 0


def _normal(key: Any, like: Any) -> Any:
    return random.normal(key, like.shape, like.dtype)


def _exponential(key: Any, like: Any) -> Any:
    return random.exponential(key, like.shape, like.dtype)


def _log_gamma(key: Any, shape: Any) -> Any:
    return random.loggamma(key, shape, shape.shape, shape.dtype)


def _poisson(key: Any, mean: Any) -> Any:
    return random.poisson(key, mean, mean.shape)


def _negative_binomial(key: Any, n: Any, p: Any) -> Any:
    first, second = random.split(key)
    return _poisson(second, jnp.exp(_log_gamma(first, n)) * (1 - p) / p)


def _discrete(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Whole numbers as reals, which have no slope."""
    return lambda key, *parameters: draw(key, *map(lax.stop_gradient, parameters)).astype(parameters[0].dtype)


DISTRIBUTIONS: dict[str, Distribution] = {
    "NormalDistribution": Distribution(
        {"mean": NUMBER, "deviation": POSITIVE},
        lambda key, m, s: m + s * _normal(key, m),
        symbols.NormalDistribution.__doc__ or "",
    ),
    "UniformDistribution": Distribution(
        {"low": NUMBER, "high": NUMBER},
        lambda key, low, high: low + (high - low) * random.uniform(key, low.shape, low.dtype),
        symbols.UniformDistribution.__doc__ or "",
        ordered=True,
    ),
    "GammaDistribution": Distribution(
        {"shape": POSITIVE, "scale": POSITIVE},
        lambda key, a, b: b * jnp.exp(_log_gamma(key, a)),
        "Numbers with the density x^(shape - 1)·exp(-x / scale), up to a constant.",
    ),
    "ExponentialDistribution": Distribution(
        {"rate": POSITIVE}, lambda key, rate: _exponential(key, rate) / rate, "Numbers with the density rate·exp(-rate·x), x > 0."
    ),
    "PoissonDistribution": Distribution(
        {"mean": POSITIVE}, _discrete(_poisson), "How many events happen where this many are expected: 0, 1, 2, …."
    ),
    "MaxwellDistribution": Distribution(
        {"scale": POSITIVE},
        lambda key, s: s * jnp.sqrt(2 * jnp.exp(_log_gamma(key, jnp.full_like(s, 1.5)))),
        "The lengths of three-dimensional vectors whose components are normal of mean 0 and this deviation.",
    ),
    "RayleighDistribution": Distribution(
        {"scale": POSITIVE},
        lambda key, s: s * jnp.sqrt(2 * _exponential(key, s)),
        "The lengths of two-dimensional vectors whose components are normal of mean 0 and this deviation.",
    ),
    "ChiDistribution": Distribution(
        {"freedom": POSITIVE},
        lambda key, n: math.sqrt(2) * jnp.exp(_log_gamma(key, n / 2) / 2),
        "The square roots of numbers of the `ChiSquareDistribution` of so many degrees of freedom.",
    ),
    "HalfNormalDistribution": Distribution(
        {"inverse": POSITIVE},
        lambda key, t: jnp.abs(_normal(key, t)) * (math.sqrt(math.pi / 2) / t),
        "The sizes of normal numbers of mean 0; the mean of those sizes is 1 / inverse.",
    ),
    "WeibullDistribution": Distribution(
        {"shape": POSITIVE, "scale": POSITIVE},
        lambda key, a, b: b * _exponential(key, a) ** (1 / a),
        "Numbers that exceed x > 0 with the probability exp(-(x / scale)^shape).",
    ),
    "NakagamiDistribution": Distribution(
        {"shape": POSITIVE, "spread": POSITIVE},
        lambda key, m, w: jnp.sqrt(w / m) * jnp.exp(_log_gamma(key, m) / 2),
        "The square roots of gamma numbers of this shape whose mean is the spread.",
    ),
    "ChiSquareDistribution": Distribution(
        {"freedom": POSITIVE},
        lambda key, n: 2 * jnp.exp(_log_gamma(key, n / 2)),
        "The sums of the squares of so many normal numbers of mean 0 and deviation 1; half numbers are possible too.",
    ),
    "ErlangDistribution": Distribution(
        {"shape": COUNT, "rate": POSITIVE},
        lambda key, k, rate: jnp.exp(_log_gamma(key, k)) / rate,
        "The sums of so many exponential numbers of this rate.",
    ),
    "LogGammaDistribution": Distribution(
        {"shape": POSITIVE, "scale": POSITIVE, "location": NUMBER},
        lambda key, a, b, m: jnp.expm1(b * jnp.exp(_log_gamma(key, a))) + m,
        "The numbers exp(g) - 1 + location with gamma numbers g of this shape and scale; the form is remembered [M].",
    ),
    "ExpGammaDistribution": Distribution(
        {"shape": POSITIVE, "scale": POSITIVE, "location": NUMBER},
        lambda key, k, t, m: m + t * _log_gamma(key, k),
        "The numbers location + scale·log g with gamma numbers g of this shape and scale 1; the form is remembered [M].",
    ),
    "InverseGammaDistribution": Distribution(
        {"shape": POSITIVE, "scale": POSITIVE},
        lambda key, a, b: b * jnp.exp(-_log_gamma(key, a)),
        "The numbers scale / g with gamma numbers g of this shape and scale 1.",
    ),
    "BernoulliDistribution": Distribution(
        {"probability": PROBABILITY},
        _discrete(lambda key, p: random.bernoulli(key, p, p.shape)),
        "1 with this probability, else 0.",
    ),
    "BinomialDistribution": Distribution(
        {"trials": NATURAL, "probability": PROBABILITY},
        _discrete(lambda key, n, p: random.binomial(key, n, p, n.shape, n.dtype)),
        "How many of so many trials succeed, each with this probability.",
    ),
    "NegativeBinomialDistribution": Distribution(
        {"successes": POSITIVE, "probability": POSITIVE_PROBABILITY},
        _discrete(_negative_binomial),
        "How many trials, each of this probability, fail before so many succeed.",
    ),
    "DiscreteUniformDistribution": Distribution(
        {"low": INTEGER, "high": INTEGER},
        _discrete(lambda key, low, high: random.randint(key, low.shape, low.astype(jnp.int32), high.astype(jnp.int32) + 1)),
        "The integers between two bounds, both included, each as often.",
        ordered=True,
    ),
}
"""Every distribution by name."""


def _kept(self: Any) -> None:
    """A list of bounds is kept as a tuple."""
    for each in fields(self):
        value = getattr(self, each.name)
        if isinstance(value, list):
            object.__setattr__(self, each.name, tuple(value))


def _text(self: Any) -> str:
    return f"{type(self).__name__}({', '.join(source_text(getattr(self, each.name)) for each in fields(self))})"


def _declared(name: str, row: Distribution) -> type:
    """The class of a distribution."""
    names, ones = (["bounds"], "[1, 1]") if row.ordered else (list(row.parameters), ", ".join("1" for _ in row.parameters))
    example = f"{name}({ones})"
    own = {"__doc__": f"{row.doc}\n\n    >>> {example}\n    {example}\n    ", "__post_init__": _kept, "__repr__": _text}
    made = make_dataclass(name, [(each, Any) for each in names], frozen=True, repr=False, namespace=own)
    made.__module__ = __name__
    return made


CLASSES: dict[str, type] = {name: getattr(symbols, name, None) or _declared(name, row) for name, row in DISTRIBUTIONS.items()}
"""The class of every distribution by name."""

__all__ += [name for name in CLASSES if name not in symbols.__all__]
globals().update({name: CLASSES[name] for name in __all__})

for _class in CLASSES.values():
    jax.tree_util.register_dataclass(_class, [each.name for each in fields(_class)], [])


def is_distribution(thing: Any) -> bool:
    """Whether this is a distribution."""
    return type(thing) in CLASSES.values()


def parameters_of(distribution: Any) -> Iterator[tuple[str, Bounds, Any]]:
    """The name, bounds and value of each parameter."""
    row = DISTRIBUTIONS[type(distribution).__name__]
    values = [getattr(distribution, each.name) for each in fields(distribution)]
    for (name, bounds), value in zip(row.parameters.items(), values[0] if row.ordered else values):
        yield name, bounds, value


def check(distribution: Any) -> None:
    """Refuse numbers that a parameter cannot be. Raises DeclarationError."""
    title = type(distribution).__name__
    row, made = DISTRIBUTIONS[title], list(parameters_of(distribution))
    for name, bounds, value in made:
        if isinstance(value, bool) or not isinstance(value, Real) or not bounds.hold(value):
            raise DeclarationError(f"The {name} of {title} must be {bounds.words}. Got {excerpt(value)} instead.")
    if row.ordered and made[0][2] > made[1][2]:
        raise DeclarationError(f"The bounds of {title} are the lower one and the higher one. Got {excerpt(distribution)}.")


def draw(distribution: Any, key: Any, sizes: tuple[int, ...], dtype: Any) -> Any:
    """An array of random numbers; NaN where a parameter is what it cannot be."""
    row = DISTRIBUTIONS[type(distribution).__name__]
    values, fits = [], jnp.asarray(True)
    for _, bounds, value in parameters_of(distribution):
        values.append(jnp.broadcast_to(jnp.asarray(value, dtype), sizes))
        fits &= bounds.hold(values[-1])
    if row.ordered:
        fits &= values[0] <= values[1]
    return jnp.where(fits, row.draw(key, *(jnp.where(fits, value, 1) for value in values)), jnp.nan)
