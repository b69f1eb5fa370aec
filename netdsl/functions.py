"""The numeric functions that nets are written with: `Ramp`, `Tanh`, `Plus`, `Max`, `Mean` and the like.

Each is one object that names itself in reprs and files and can be called on numbers and arrays, also inside the function of a
FunctionLayer. Elementwise functions take one argument; `Plus`, `Times`, `Max` … thread over several; `Mean`, `Total` … take
the first level of one array away.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy import special

__all__ = ["ACTIVATIONS", "FUNCTIONS", "Function"]


class Function:
    """A named numeric function.

    >>> Ramp
    Ramp
    >>> float(Ramp(-2.0)), float(Plus(1.0, 2.0, 3.0))
    (0.0, 6.0)
    """

    __slots__ = ("__name__", "arity", "compute")
    __name__: str
    arity: int | None
    compute: Callable[..., Any]

    def __init__(self, name: str, compute: Callable[..., Any], arity: int | None = 1) -> None:
        object.__setattr__(self, "__name__", name)
        object.__setattr__(self, "compute", compute)
        object.__setattr__(self, "arity", arity)

    def __call__(self, *arguments: Any) -> Any:
        """The value at numbers or arrays."""
        return self.compute(*arguments)

    def __repr__(self) -> str:
        return self.__name__

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{self!r} cannot be changed.")

    def __reduce__(self) -> tuple[Any, ...]:
        return _named, (self.__name__,)


def _named(name: str) -> Function:
    return FUNCTIONS[name]


def _fold(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def threaded(first: Any, *rest: Any) -> Any:
        for value in rest:
            first = function(first, value)
        return first

    return threaded


def _gudermannian(x: Any) -> Any:
    return 2 * jnp.arctan(jnp.tanh(jnp.asarray(x) / 2))


def _fractional_part(x: Any) -> Any:
    x = jnp.asarray(x)
    return x - jnp.trunc(x)


def _euclidean_distance(x: Any, y: Any) -> Any:
    squares = jnp.sum(jnp.square(jnp.abs(jnp.subtract(x, y))))
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)  # its slope at 0 is taken as 0


def _cosine_distance(x: Any, y: Any) -> Any:
    x, y = jnp.ravel(x), jnp.ravel(y)
    norms = jnp.sum(x * x) * jnp.sum(y * y)
    return jnp.where(norms > 0, 1 - jnp.sum(x * y) * jax.lax.rsqrt(jnp.where(norms > 0, norms, 1)), 0)


_ONE: dict[str, Callable[[Any], Any]] = {
    "Ramp": lambda x: jnp.maximum(x, 0),
    "LogisticSigmoid": jax.nn.sigmoid,
    "Tan": jnp.tan,
    "Tanh": jnp.tanh,
    "ArcTanh": jnp.arctanh,
    "Sin": jnp.sin,
    "Sinh": jnp.sinh,
    "ArcSin": jnp.arcsin,
    "ArcSinh": jnp.arcsinh,
    "Cos": jnp.cos,
    "Cosh": jnp.cosh,
    "ArcCos": jnp.arccos,
    "ArcCosh": jnp.arccosh,
    "Cot": lambda x: 1 / jnp.tan(x),
    "Coth": lambda x: 1 / jnp.tanh(x),
    "ArcCot": lambda x: jnp.arctan(1 / jnp.asarray(x)),
    "ArcCoth": lambda x: jnp.arctanh(1 / jnp.asarray(x)),
    "Csc": lambda x: 1 / jnp.sin(x),
    "Csch": lambda x: 1 / jnp.sinh(x),
    "ArcCsc": lambda x: jnp.arcsin(1 / jnp.asarray(x)),
    "ArcCsch": lambda x: jnp.arcsinh(1 / jnp.asarray(x)),
    "Sec": lambda x: 1 / jnp.cos(x),
    "Sech": lambda x: 1 / jnp.cosh(x),
    "ArcSec": lambda x: jnp.arccos(1 / jnp.asarray(x)),
    "ArcSech": lambda x: jnp.arccosh(1 / jnp.asarray(x)),
    "Haversine": lambda x: (1 - jnp.cos(x)) / 2,
    "InverseHaversine": lambda x: 2 * jnp.arcsin(jnp.sqrt(x)),
    "Gudermannian": _gudermannian,
    "InverseGudermannian": lambda x: 2 * jnp.arctanh(jnp.tan(jnp.asarray(x) / 2)),
    "Log": jnp.log,
    "Exp": jnp.exp,
    "Sqrt": jnp.sqrt,
    "CubeRoot": jnp.cbrt,
    "Abs": jnp.abs,
    "Gamma": special.gamma,
    "LogGamma": special.gammaln,
    "Erf": special.erf,
    "InverseErf": special.erfinv,
    "Erfc": special.erfc,
    "InverseErfc": lambda x: special.erfinv(1 - jnp.asarray(x)),
    "Round": jnp.round,
    "Floor": jnp.floor,
    "Ceiling": jnp.ceil,
    "Sign": jnp.sign,
    "FractionalPart": _fractional_part,
    "IntegerPart": lambda x: jnp.trunc(jnp.asarray(x)),
    "Unitize": lambda x: jnp.where(jnp.asarray(x) == 0, 0.0, 1.0),
    "KroneckerDelta": lambda x: jnp.where(jnp.asarray(x) == 0, 1.0, 0.0),
}

_SEVERAL: dict[str, Callable[..., Any]] = {
    "Plus": _fold(jnp.add),
    "Subtract": jnp.subtract,
    "Times": _fold(jnp.multiply),
    "Divide": jnp.divide,
    "Power": jnp.power,
    "Surd": lambda x, n: jnp.sign(x) * jnp.abs(x) ** (1 / jnp.asarray(n)),
    "Mod": jnp.mod,
    "ArcTan": lambda x, y=None: jnp.arctan(x) if y is None else jnp.arctan2(y, x),
    "Clip": lambda x, bounds=(-1, 1): jnp.clip(x, *bounds),
    "Max": lambda *xs: jnp.max(xs[0]) if len(xs) == 1 and jnp.ndim(xs[0]) else _fold(jnp.maximum)(*xs),
    "Min": lambda *xs: jnp.min(xs[0]) if len(xs) == 1 and jnp.ndim(xs[0]) else _fold(jnp.minimum)(*xs),
}

VARIANCE_DIVISOR = 1
"""What the divisor of `Variance` and `StandardDeviation` is less than the number of elements, as in the language itself; in
Mathematica's layers it is not documented [M]."""


def _real(x: Any, count: Any, fill: float) -> Any:
    """The array with `fill` beyond its first `count` elements; None: all are real."""
    return x if count is None else jnp.where((jnp.arange(len(x)) < count).reshape(-1, *(1,) * (x.ndim - 1)), x, fill)


def _total(x: Any, count: Any) -> Any:
    return jnp.sum(_real(x, count, 0), axis=0)


def _mean(x: Any, count: Any) -> Any:
    return _total(x, count) / (len(x) if count is None else count)


def _variance(x: Any, count: Any) -> Any:
    number = len(x) if count is None else count
    return _total(jnp.square(x - _mean(x, count)), count) / jnp.maximum(number - VARIANCE_DIVISOR, 1)


def _standard_deviation(x: Any, count: Any) -> Any:
    variance = _variance(x, count)
    positive = variance > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1)), 0)  # the slope at 0 is taken as 0


def _quartile(which: int) -> Callable[[Any, Any], Any]:
    """The quartile at position n·which/4 + 1/2 of the sorted elements, between two of them linear: Mathematica's default."""

    def quartile(x: Any, count: Any) -> Any:
        number = len(x) if count is None else count
        quarters = jnp.clip(which * number - 2, 0, 4 * (number - 1))
        ordered = jnp.sort(x if count is None else _real(x, count, jnp.inf), axis=0)
        low, high = ordered[quarters // 4], ordered[jnp.minimum(quarters // 4 + 1, number - 1)]
        return low + (high - low) * (quarters % 4 / 4)

    return quartile


AGGREGATIONS: dict[str, Callable[..., Any]] = {
    "Mean": _mean,
    "Min": lambda x, count: jnp.min(_real(x, count, jnp.inf), axis=0),
    "Max": lambda x, count: jnp.max(_real(x, count, -jnp.inf), axis=0),
    "Total": _total,
    "Times": lambda x, count: jnp.prod(_real(x, count, 1), axis=0),
    "Median": _quartile(2),
    "Variance": _variance,
    "StandardDeviation": _standard_deviation,
    "MeanDeviation": lambda x, count: _mean(jnp.abs(x - _mean(x, count)), count),
    "InterquartileRange": lambda x, count: _quartile(3)(x, count) - _quartile(1)(x, count),
}
"""What AggregationLayer computes over level 1 of real numbers, of which only the first `count` count; None: all of them."""

_REDUCING: dict[str, Callable[..., Any]] = {
    "Total": lambda x: jnp.sum(x, axis=0),
    "Mean": lambda x: jnp.mean(x, axis=0),
    **{
        name: partial(AGGREGATIONS[name], count=None)
        for name in ("Median", "Variance", "StandardDeviation", "MeanDeviation", "InterquartileRange")
    },
    "Dot": _fold(lambda x, y: jnp.tensordot(x, y, axes=1)),
    "EuclideanDistance": _euclidean_distance,
    "CosineDistance": _cosine_distance,
    "Catenate": lambda *xs: jnp.concatenate(xs),
}

FUNCTIONS: dict[str, Function] = {
    **{name: Function(name, compute) for name, compute in _ONE.items()},
    **{name: Function(name, compute, None) for name, compute in _SEVERAL.items()},
    **{name: Function(name, compute, 0) for name, compute in _REDUCING.items()},
}
"""Every exported function by name."""

DESCRIPTIONS: dict[str, str] = {
    "Ramp": "x where it is positive, else 0.",
    "LogisticSigmoid": "1 / (1 + exp(-x)).",
    "Tan": "The tangent of x, in radians.",
    "Tanh": "The hyperbolic tangent of x.",
    "ArcTanh": "The inverse of `Tanh`.",
    "Sin": "The sine of x, in radians.",
    "Sinh": "The hyperbolic sine of x.",
    "ArcSin": "The inverse of `Sin`.",
    "ArcSinh": "The inverse of `Sinh`.",
    "Cos": "The cosine of x, in radians.",
    "Cosh": "The hyperbolic cosine of x.",
    "ArcCos": "The inverse of `Cos`.",
    "ArcCosh": "The inverse of `Cosh`.",
    "Cot": "The cotangent 1 / tan x.",
    "Coth": "The hyperbolic cotangent 1 / tanh x.",
    "ArcCot": "The inverse of `Cot`: arctan(1 / x).",
    "ArcCoth": "The inverse of `Coth`.",
    "Csc": "The cosecant 1 / sin x.",
    "Csch": "The hyperbolic cosecant 1 / sinh x.",
    "ArcCsc": "The inverse of `Csc`.",
    "ArcCsch": "The inverse of `Csch`.",
    "Sec": "The secant 1 / cos x.",
    "Sech": "The hyperbolic secant 1 / cosh x.",
    "ArcSec": "The inverse of `Sec`.",
    "ArcSech": "The inverse of `Sech`.",
    "Haversine": "(1 - cos x) / 2.",
    "InverseHaversine": "The inverse of `Haversine`.",
    "Gudermannian": "2 arctan(tanh(x / 2)).",
    "InverseGudermannian": "The inverse of `Gudermannian`.",
    "Log": "The natural logarithm of x.",
    "Exp": "e to the power x.",
    "Sqrt": "The square root of x.",
    "CubeRoot": "The real cube root of x.",
    "Abs": "The absolute value of x.",
    "Gamma": "The gamma function of x.",
    "LogGamma": "The logarithm of the gamma function of x.",
    "Erf": "The error function of x.",
    "InverseErf": "The inverse of `Erf`.",
    "Erfc": "1 - erf x.",
    "InverseErfc": "The inverse of `Erfc`.",
    "Round": "The nearest integer, of two the even one.",
    "Floor": "The greatest integer of at most x.",
    "Ceiling": "The least integer of at least x.",
    "Sign": "-1, 0 or 1 by the sign of x.",
    "FractionalPart": "x less its integer part.",
    "IntegerPart": "x without its fraction, towards 0.",
    "Unitize": "0 where x is 0, else 1.",
    "KroneckerDelta": "1 where x is 0, else 0.",
    "Plus": "The sum of its arguments, elementwise.",
    "Subtract": "x - y, elementwise.",
    "Times": "The product of its arguments, elementwise.",
    "Divide": "x / y, elementwise.",
    "Power": "x to the power y, elementwise.",
    "Surd": "The real n-th root of x.",
    "Mod": "The remainder of x / y, with the sign of y.",
    "ArcTan": "The inverse of `Tan`; ArcTan(x, y) is the angle of the point (x, y).",
    "Clip": "x limited to -1 and 1, or to the bounds of Clip(x, (low, high)).",
    "Max": "The greatest of its arguments, elementwise; of one array, its greatest element.",
    "Min": "The least of its arguments, elementwise; of one array, its least element.",
    "Total": "The sum over level 1 of an array.",
    "Mean": "The mean over level 1 of an array.",
    "Median": "The middle element of level 1 of an array when sorted, or the mean of the two in the middle.",
    "Variance": "The variance over level 1 of an array, with divisor n - 1.",
    "StandardDeviation": "The square root of `Variance`.",
    "MeanDeviation": "The mean over level 1 of an array of the distances from its mean.",
    "InterquartileRange": "The difference of the third and the first quartile over level 1 of an array.",
    "Dot": "The product of arrays: the last level of each with the first of the next.",
    "EuclideanDistance": "The square root of the sum of the squares of x - y.",
    "CosineDistance": "1 less the cosine of the angle between x and y; 0 where one of them is 0.",
    "Catenate": "Arrays joined along level 1.",
}
"""What each function is, in a sentence."""

globals().update(FUNCTIONS)
__all__ += list(FUNCTIONS)

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "RectifiedLinearUnit": FUNCTIONS["Ramp"],
    "ReLU": FUNCTIONS["Ramp"],
    "ExponentialLinearUnit": jax.nn.elu,
    "ELU": jax.nn.elu,
    "ScaledExponentialLinearUnit": jax.nn.selu,
    "SELU": jax.nn.selu,
    "GaussianErrorLinearUnit": lambda x: 0.5 * x * (1 + special.erf(x / jnp.sqrt(2.0))),
    "GELU": lambda x: 0.5 * x * (1 + special.erf(x / jnp.sqrt(2.0))),
    "Swish": lambda x: x * jax.nn.sigmoid(x),
    "HardSwish": lambda x: x * jnp.clip(x + 3, 0, 6) / 6,
    "Mish": lambda x: x * jnp.tanh(jax.nn.softplus(x)),
    "SoftSign": lambda x: x / (1 + jnp.abs(x)),
    "SoftPlus": jax.nn.softplus,
    "HardTanh": lambda x: jnp.clip(x, -1, 1),
    "HardSigmoid": lambda x: jnp.clip((x + 1) / 2, 0, 1),
    "Sigmoid": jax.nn.sigmoid,
}
"""The named activations of ElementwiseLayer."""
