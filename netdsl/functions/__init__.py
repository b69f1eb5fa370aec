"""The numeric functions that nets are written with: `Ramp`, `Tanh`, `Plus`, `Max`, `Mean` and the like.

Each is one object that names itself in reprs and files and can be called on numbers and arrays, also inside the function of a
FunctionLayer. Elementwise functions take one argument; `Plus`, `Times`, `Max` … thread over several; `Mean`, `Total` … take
the first level of one array away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from itertools import combinations, pairwise
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy import special

from netdsl.functions.aggregations import AGGREGATIONS
from netdsl.functions.lists import fold_list, mapped, part, table
from netdsl.functions.recording import recorder

__all__ = ["ACTIVATIONS", "FUNCTIONS", "Function"]


class Function:
    """A named numeric function.

    >>> Ramp
    Ramp
    >>> float(Ramp(-2.0)), float(Plus(1.0, 2.0, 3.0))
    (0.0, 6.0)
    """

    __slots__ = ("__name__", "__weakref__", "arity", "compute")  # without weak references jax.jit of it would crash
    __name__: str
    arity: int | None
    compute: Callable[..., Any]

    def __init__(self, name: str, compute: Callable[..., Any], arity: int | None = 1) -> None:
        object.__setattr__(self, "__name__", name)
        object.__setattr__(self, "compute", compute)
        object.__setattr__(self, "arity", arity)

    def __call__(self, *arguments: Any) -> Any:
        """The value at numbers or arrays."""
        record = recorder()
        return self.compute(*arguments) if record is None else record(self, arguments)

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


def _as_real(x: Any) -> Any:
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))


def _side(x: Any) -> Any:
    """-1 where x is negative, else 1."""
    return jnp.where(x < 0, -1.0, 1.0)


def _arccot(x: Any) -> Any:
    x = _as_real(x)
    return jnp.arctan2(_side(x), _side(x) * x)  # arctan(1 / x) has no slope at 0


def _csch(x: Any) -> Any:
    x = _as_real(x)
    return _side(x) * 2 * jnp.exp(-jnp.abs(x)) / -jnp.expm1(-2 * jnp.abs(x))  # 1 / sinh x has no slope where sinh overflows


def _sech(x: Any) -> Any:
    x = jnp.abs(_as_real(x))
    return 2 * jnp.exp(-x) / (1 + jnp.exp(-2 * x))


def _inverse_erfc(x: Any) -> Any:
    x = _as_real(x)
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return (-special.ndtri(wide / 2) / math.sqrt(2)).astype(x.dtype)  # 1 - x would round small x away


def _fractional_part(x: Any) -> Any:
    x = jnp.asarray(x)
    return x - jnp.trunc(x)


def _cosine_distance(x: Any, y: Any) -> Any:
    x, y = jnp.ravel(x), jnp.ravel(y)
    norms = jnp.sum(x * x) * jnp.sum(y * y)
    return jnp.where(norms > 0, 1 - jnp.sum(x * y) * jax.lax.rsqrt(jnp.where(norms > 0, norms, 1)), 0)


def _stepped(nearest: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda x, step=None: nearest(x) if step is None else step * nearest(jnp.asarray(x) / step)


def _surd(x: Any, n: Any) -> Any:
    x, n = _as_real(x), jnp.asarray(n)
    root = _side(x) * (_side(x) * x) ** (1 / n)
    return jnp.where((x < 0) & (n % 2 == 0), jnp.nan, root)


def _clip(x: Any, bounds: Any = (-1, 1), values: Any = None) -> Any:
    if values is None:
        return jnp.clip(x, *bounds)
    return _piecewise([(values[0], x < bounds[0]), (values[1], x > bounds[1])], x)


CHOPPED = 1e-10
"""The size below which `Chop` takes a number for 0 unless told otherwise; for `Threshold` it is not documented [M]."""

THRESHOLDS: dict[str, Callable[[Any, Any], Any]] = {"Hard": lambda x, t: x, "Soft": lambda x, t: x - jnp.sign(x) * t}
"""What `Threshold` makes of a number larger than the threshold."""


def _threshold(x: Any, specification: Any = CHOPPED) -> Any:
    kind, least = specification if isinstance(specification, (tuple, list)) else ("Hard", specification)
    if kind not in THRESHOLDS:
        raise TypeError(f"Threshold knows {' and '.join(map(repr, THRESHOLDS))}, and not {kind!r}.")
    x = jnp.asarray(x)
    return jnp.where(jnp.abs(x) > least, THRESHOLDS[kind](x, least), 0)


def _kronecker_delta(*xs: Any) -> Any:
    equal = _related(jnp.equal, pairwise)(*(xs if len(xs) > 1 else (*xs, 0)))
    return equal.astype(jnp.result_type(*xs))


# Conditions: arrays of truth values, and the numbers that they choose


def _related(holds: Callable[[Any, Any], Any], pairs: Callable[[Any], Iterable[tuple[Any, Any]]]) -> Callable[..., Any]:
    """Whether a relation holds between all these pairs of the arguments."""
    return lambda *xs: _all(*(holds(a, b) for a, b in pairs(xs)))


def _all(*truths: Any) -> Any:
    return _fold(jnp.logical_and)(jnp.asarray(True), *truths)


def _any(*truths: Any) -> Any:
    return _fold(jnp.logical_or)(jnp.asarray(False), *truths)


def _piecewise(cases: Any, default: Any = 0) -> Any:
    for value, holds in reversed(list(cases)):
        default = jnp.where(holds, value, default)
    return default


def _which(*cases: Any) -> Any:
    if len(cases) % 2 or not cases:
        raise TypeError("Which takes conditions and values in turn: Which(condition, value, condition, value, …).")
    return _piecewise(zip(cases[1::2], cases[::2]), jnp.nan)


_ONE: dict[str, Callable[..., Any]] = {
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
    "ArcCot": _arccot,
    "ArcCoth": lambda x: jnp.arctanh(1 / jnp.asarray(x)),
    "Csc": lambda x: 1 / jnp.sin(x),
    "Csch": _csch,
    "ArcCsc": lambda x: jnp.arcsin(1 / jnp.asarray(x)),
    "ArcCsch": lambda x: jnp.arcsinh(1 / jnp.asarray(x)),
    "Sec": lambda x: 1 / jnp.cos(x),
    "Sech": _sech,
    "ArcSec": lambda x: jnp.arccos(1 / jnp.asarray(x)),
    "ArcSech": lambda x: jnp.arccosh(1 / jnp.asarray(x)),
    "Haversine": lambda x: jnp.square(jnp.sin(jnp.asarray(x) / 2)),
    "InverseHaversine": lambda x: 2 * jnp.arcsin(jnp.sqrt(x)),
    "Gudermannian": lambda x: 2 * jnp.arctan(jnp.tanh(jnp.asarray(x) / 2)),
    "InverseGudermannian": lambda x: 2 * jnp.arctanh(jnp.tan(jnp.asarray(x) / 2)),
    "Log": jnp.log,
    "Exp": jnp.exp,
    "Sqrt": jnp.sqrt,
    "CubeRoot": jnp.cbrt,
    "Abs": jnp.abs,
    "Gamma": special.gamma,
    "LogGamma": special.gammaln,
    "Erf": lambda x, y=None: special.erf(x) if y is None else special.erf(y) - special.erf(x),
    "InverseErf": special.erfinv,
    "Erfc": special.erfc,
    "InverseErfc": _inverse_erfc,
    "Round": _stepped(jnp.round),
    "Floor": _stepped(jnp.floor),
    "Ceiling": _stepped(jnp.ceil),
    "Sign": jnp.sign,
    "FractionalPart": _fractional_part,
    "IntegerPart": lambda x: jnp.trunc(jnp.asarray(x)),
    "Unitize": lambda x: (jnp.asarray(x) != 0).astype(jnp.result_type(x)),
    "KroneckerDelta": _kronecker_delta,
    "ArcTan": lambda x, y=None: jnp.arctan(x) if y is None else jnp.arctan2(y, x),
    "Clip": _clip,
    "Threshold": _threshold,
    "Chop": lambda x, least=CHOPPED: jnp.where(jnp.abs(x) < least, 0, x),
    "Negative": lambda x: jnp.less(x, 0),
    "NonNegative": lambda x: jnp.greater_equal(x, 0),
    "Positive": lambda x: jnp.greater(x, 0),
    "NonPositive": lambda x: jnp.less_equal(x, 0),
    "PossibleZeroQ": lambda x: jnp.equal(x, 0),
}

_SEVERAL: dict[str, Callable[..., Any]] = {
    "Plus": _fold(jnp.add),
    "Subtract": jnp.subtract,
    "Times": _fold(jnp.multiply),
    "Divide": jnp.divide,
    "Power": jnp.power,
    "Surd": _surd,
    "Mod": lambda x, y, offset=0: jnp.mod(jnp.subtract(x, offset), y) + offset,
    "Max": lambda *xs: jnp.max(xs[0]) if len(xs) == 1 and jnp.ndim(xs[0]) else _fold(jnp.maximum)(*xs),
    "Min": lambda *xs: jnp.min(xs[0]) if len(xs) == 1 and jnp.ndim(xs[0]) else _fold(jnp.minimum)(*xs),
    "If": jnp.where,
    "And": _all,
    "Or": _any,
    "Which": _which,
    "Piecewise": _piecewise,
    "Equal": _related(jnp.equal, pairwise),
    "Unequal": _related(jnp.not_equal, lambda xs: combinations(xs, 2)),
    "Greater": _related(jnp.greater, pairwise),
    "GreaterEqual": _related(jnp.greater_equal, pairwise),
    "Less": _related(jnp.less, pairwise),
    "LessEqual": _related(jnp.less_equal, pairwise),
}

_REDUCING: dict[str, Callable[..., Any]] = {
    "Total": lambda x: jnp.sum(x, axis=0),
    "Mean": lambda x: jnp.mean(x, axis=0),
    **{
        name: partial(AGGREGATIONS[name], count=None)
        for name in ("Median", "Variance", "StandardDeviation", "MeanDeviation", "InterquartileRange")
    },
    "Dot": _fold(lambda x, y: jnp.tensordot(x, y, axes=1)),
}


def _length(x: Any) -> Any:
    """The Euclidean length; its slope at 0 is taken as 0."""
    squares = jnp.sum(jnp.square(x))
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)


_ARRAYS: dict[str, Callable[..., Any]] = {
    "Det": jnp.linalg.det,
    "Tr": jnp.trace,
    "Part": part,
    "Table": table,
    "Reverse": lambda x: jnp.flip(x, axis=0),
    "EuclideanDistance": lambda x, y: _length(jnp.subtract(x, y)),
    "SquaredEuclideanDistance": lambda x, y: jnp.sum(jnp.square(jnp.subtract(x, y))),
    "ManhattanDistance": lambda x, y: jnp.sum(jnp.abs(jnp.subtract(x, y))),
    "ChessboardDistance": lambda x, y: jnp.max(jnp.abs(jnp.subtract(x, y))),
    "CosineDistance": _cosine_distance,
    "Catenate": lambda *xs: jnp.concatenate(xs),
    "ConstantArray": lambda value, sizes: jnp.full(sizes, value),
    "Map": mapped,
    "FoldList": fold_list,
    "NestList": lambda function, x, count: fold_list(lambda y, _: function(y), x, jnp.zeros(count)),
}

FUNCTIONS: dict[str, Function] = {
    **{name: Function(name, compute) for name, compute in _ONE.items()},
    **{name: Function(name, compute, None) for name, compute in _SEVERAL.items()},
    **{name: Function(name, compute, 0) for name, compute in {**_REDUCING, **_ARRAYS}.items()},
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
    "Erf": "The error function of x; Erf(x, y) is erf y - erf x.",
    "InverseErf": "The inverse of `Erf`.",
    "Erfc": "1 - erf x.",
    "InverseErfc": "The inverse of `Erfc`.",
    "Round": "The nearest integer, of two the even one; Round(x, a) the nearest multiple of a.",
    "Floor": "The greatest integer of at most x; Floor(x, a) the greatest multiple of a.",
    "Ceiling": "The least integer of at least x; Ceiling(x, a) the least multiple of a.",
    "Sign": "-1, 0 or 1 by the sign of x.",
    "FractionalPart": "x less its integer part.",
    "IntegerPart": "x without its fraction, towards 0.",
    "Unitize": "0 where x is 0, else 1.",
    "KroneckerDelta": "1 where x is 0, else 0; of several numbers 1 where all are equal.",
    "Plus": "The sum of its arguments, elementwise.",
    "Subtract": "x - y, elementwise.",
    "Times": "The product of its arguments, elementwise.",
    "Divide": "x / y, elementwise.",
    "Power": "x to the power y, elementwise.",
    "Surd": "The real n-th root of x, also of a negative number where n is odd.",
    "Mod": "The remainder of x / y, with the sign of y; Mod(x, y, d) lies between d and d + y.",
    "ArcTan": "The inverse of `Tan`; ArcTan(x, y) is the angle of the point (x, y).",
    "Clip": "x limited to -1 and 1, or as Clip(x, [low, high]); Clip(x, [low, high], [below, above]) puts others beyond the bounds.",
    "Threshold": "0 where the size of x is at most t, else x, or x moved by t towards 0: Threshold(x, t), Threshold(x, ['Soft', t]).",
    "Chop": "0 where the size of x is below 1e-10, or below t as Chop(x, t); else x.",
    "Negative": "Whether x < 0.",
    "NonNegative": "Whether x >= 0.",
    "Positive": "Whether x > 0.",
    "NonPositive": "Whether x <= 0.",
    "PossibleZeroQ": "Whether x is 0.",
    "If": "If(condition, then, else): `then` where the condition holds, elsewhere `else`; both are computed.",
    "And": "Whether all conditions hold.",
    "Or": "Whether one of the conditions holds.",
    "Which": "Which(condition, value, condition, value, …): the value of the first condition that holds; NaN where none does.",
    "Piecewise": "Piecewise([[value, condition], …], default): the value of the first condition that holds, else the default, 0.",
    "Equal": "Whether all arguments are equal.",
    "Unequal": "Whether no two arguments are equal.",
    "Greater": "Whether each argument is greater than the next.",
    "GreaterEqual": "Whether each argument is at least the next.",
    "Less": "Whether each argument is less than the next.",
    "LessEqual": "Whether each argument is at most the next.",
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
    "Det": "The determinant of a matrix.",
    "Tr": "The sum of the diagonal of a matrix.",
    "Part": "Part(x, i, …): the element at a position, counted from 1, or of All, Span(m, n) or an array of positions; NaN beyond.",
    "Table": "Table(f, n): f(1), …, f(n), where f gets an integer of the net; Table(f, n, m) of two.",
    "Reverse": "The elements of level 1 in reverse order.",
    "EuclideanDistance": "The length of x - y.",
    "SquaredEuclideanDistance": "The square of the length of x - y.",
    "ManhattanDistance": "The sum of the sizes of the elements of x - y.",
    "ChessboardDistance": "The greatest size of an element of x - y.",
    "CosineDistance": "1 less the cosine of the angle between x and y; 0 where one of them is 0.",
    "ConstantArray": "ConstantArray(value, sizes): an array of these sizes with the value everywhere.",
    "Map": "Map(f, x): f of each element of level 1.",
    "FoldList": "FoldList(f, x, [a, b, …]): x, f(x, a), f(f(x, a), b) and so on.",
    "NestList": "NestList(f, x, n): x, f(x), f(f(x)) and so on, f applied up to n times.",
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
