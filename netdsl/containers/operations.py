"""The operations of JAX on numbers as named functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netdsl.functions.composed import Call

__all__ = ["OTHERS", "REDUCTIONS", "SAME"]

SAME = {"add": "Plus", "sub": "Subtract", "mul": "Times", "div": "Divide", "pow": "Power", "max": "Max", "min": "Min"}
SAME |= {"exp": "Exp", "log": "Log", "sqrt": "Sqrt", "cbrt": "CubeRoot", "abs": "Abs", "sign": "Sign", "floor": "Floor"}
SAME |= {name: name.capitalize() for name in ("tan", "tanh", "sin", "sinh", "cos", "cosh", "erf", "erfc")}
SAME |= {f"a{name.lower()}": f"Arc{name}" for name in ("Sin", "Cos", "Tan", "Sinh", "Cosh", "Tanh")}
SAME |= {"ceil": "Ceiling", "logistic": "LogisticSigmoid", "erf_inv": "InverseErf", "lgamma": "LogGamma", "round": "Round"}
SAME |= {"lt": "Less", "le": "LessEqual", "gt": "Greater", "ge": "GreaterEqual", "eq": "Equal", "ne": "Unequal"}
SAME |= {"and": "And", "or": "Or"}
"""The operations of JAX that are named functions of numbers."""

OTHERS: dict[str, Callable[..., Any]] = {
    "neg": lambda x: Call("Times", (-1, x)),
    "square": lambda x: Call("Power", (x, 2)),
    "integer_pow": lambda x, y: Call("Power", (x, y)),
    "rsqrt": lambda x: Call("Divide", (1, Call("Sqrt", (x,)))),
    "exp2": lambda x: Call("Power", (2, x)),
    "expm1": lambda x: Call("Subtract", (Call("Exp", (x,)), 1)),
    "log1p": lambda x: Call("Log", (Call("Plus", (1, x)),)),
    "atan2": lambda y, x: Call("ArcTan", (x, y)),
    "not": lambda x: Call("Equal", (x, 0)),
    "clamp": lambda low, x, high: Call("Min", (Call("Max", (x, low)), high)),
    "select_n": lambda which, no, yes: Call("If", (which, yes, no)),
    "copy": lambda x: x,
    "stop_gradient": lambda x: x,
}
"""The other operations on numbers, as named functions."""

REDUCTIONS = {"reduce_sum": "Total", "reduce_max": "Max", "reduce_min": "Min", "reduce_prod": "Times"}
