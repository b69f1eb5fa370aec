"""The optimizers by name: optax transformations that give a direction, which the loop scales by the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.constraints import integer, number
from netdsl.declarations import suboptions
from netdsl.errors import DeclarationError, excerpt, nearest
from netdsl.symbols import Automatic
from netdsl.training.schedules import Schedule, schedule

__all__ = ["METHODS", "Optimizer", "optimizer"]


@dataclass(frozen=True)
class Method:
    """A row of the table of methods.

    Args:
        learning_rate: the initial one when LearningRate is Automatic.
        suboptions: for each its default, and the argument of `make` that it is.
        make: from these arguments to an optax transformation; its updates are a direction of ascent.
        whole: whether it looks at an array as a whole, at its norm or its rows, not at each number for itself.
        zeros: whether all that it keeps is 0 before the first step.
    """

    learning_rate: float
    suboptions: dict[str, tuple[str, float]]
    make: Callable[..., Any]
    whole: bool = False
    zeros: bool = True


def _rmsprop(decay: float, eps: float, momentum: float) -> Any:
    import optax

    return optax.chain(optax.scale_by_rms(decay=decay, eps=eps), optax.trace(momentum))


def _sign_descent(momentum: float) -> Any:
    import optax

    return optax.chain(optax.trace(momentum), optax.stateless(lambda updates, _: jax.tree.map(jnp.sign, updates)))


def _of_optax(name: str) -> Callable[..., Any]:
    """What makes the direction of one of optax's optimizers: what it subtracts at a learning rate of 1."""

    def make(**arguments: float) -> Any:
        import optax

        return optax.chain(getattr(optax, name)(1.0, **arguments), optax.scale(-1.0))

    return make


def _part_of_optax(name: str) -> Callable[..., Any]:
    def make(**arguments: float) -> Any:
        import optax

        return getattr(optax, name)(**arguments)

    return make


def _betas(epsilon: float, beta2: float = 0.999) -> dict[str, tuple[str, float]]:
    return {"Beta1": ("b1", 0.9), "Beta2": ("b2", beta2), "Epsilon": ("eps", epsilon)}


METHODS: dict[str, Method] = {
    "ADAM": Method(0.001, _betas(1e-5), _part_of_optax("scale_by_adam")),
    "RMSProp": Method(0.001, {"Beta": ("decay", 0.95), "Epsilon": ("eps", 1e-6), "Momentum": ("momentum", 0.9)}, _rmsprop),
    "SGD": Method(0.01, {"Momentum": ("decay", 0.93)}, _part_of_optax("trace")),
    "SignSGD": Method(0.0001, {"Momentum": ("momentum", 0.93)}, _sign_descent),
    # further ones of optax, with its defaults
    "AdamW": Method(0.001, {**_betas(1e-8), "WeightDecay": ("weight_decay", 1e-4)}, _of_optax("adamw")),
    "NAdam": Method(0.001, _betas(1e-8), _of_optax("nadam")),
    "RAdam": Method(0.001, {**_betas(1e-8), "Threshold": ("threshold", 5.0)}, _of_optax("radam")),
    "AdaMax": Method(0.001, _betas(1e-8), _of_optax("adamax")),
    "AdaGrad": Method(
        0.01,
        {"InitialAccumulator": ("initial_accumulator_value", 0.1), "Epsilon": ("eps", 1e-7)},
        _of_optax("adagrad"),
        zeros=False,
    ),
    "AdaDelta": Method(1.0, {"Rho": ("rho", 0.9), "Epsilon": ("eps", 1e-6)}, _of_optax("adadelta")),
    "Lion": Method(
        0.0001, {"Beta1": ("b1", 0.9), "Beta2": ("b2", 0.99), "WeightDecay": ("weight_decay", 1e-3)}, _of_optax("lion")
    ),
    "LAMB": Method(0.001, {**_betas(1e-6), "WeightDecay": ("weight_decay", 0.0)}, _of_optax("lamb"), whole=True),
    "LARS": Method(
        0.1,
        {
            "Momentum": ("momentum", 0.9),
            "WeightDecay": ("weight_decay", 0.0),
            "TrustCoefficient": ("trust_coefficient", 0.001),
            "Epsilon": ("eps", 0.0),
        },
        _of_optax("lars"),
        whole=True,
    ),
    "Adafactor": Method(
        0.01,
        {"DecayRate": ("decay_rate", 0.8), "ClippingThreshold": ("clipping_threshold", 1.0), "Epsilon": ("eps", 1e-30)},
        _of_optax("adafactor"),
        whole=True,
        zeros=False,
    ),
}
"""The methods; the learning rates of the first four and the defaults of their suboptions are remembered [M]."""

BELOW_ONE = math.nextafter(1.0, 0.0)

FRACTION = number(0, BELOW_ONE, words="a number from 0 to below 1")

AT_LEAST = {
    "ClippingThreshold": 0,
    "Epsilon": 0,
    "InitialAccumulator": 0,
    "Threshold": 4,
    "TrustCoefficient": 0,
    "WeightDecay": 0,
}
"""The suboptions that may be 1 and more, and the least that they may be; the others are shares."""

BY_PART = ("GradientClipping", "L2Regularization", "WeightClipping")
"""The suboptions of every method that are a number, or rules from parts of the net to numbers."""

COMMON = ("LearningRate", "LearningRateSchedule", *BY_PART, "GradientAccumulation", "MovingAverage")
"""The suboptions of every method."""


@dataclass(frozen=True)
class Optimizer:
    """A named method with its suboptions, or an optax transformation of the user's."""

    name: str
    options: tuple[tuple[str, float], ...] = ()
    transformation: Any = None
    learning_rate: float = 0.001
    schedule: Schedule | None = None
    common: Mapping[str, Any] = field(default_factory=dict)
    """The settings of the suboptions that `updates` carries out, where they ask for something."""

    @property
    def own(self) -> bool:
        """Whether it is one of the named methods, whose steps the learning rate scales."""
        return self.transformation is None

    @property
    def whole(self) -> bool:
        """Whether it has to see each array of the net as it is."""
        return not self.own or METHODS[self.name].whole

    @property
    def key(self) -> tuple[Any, ...]:
        """What of it is static in a compiled function."""
        return self.name, self.options, self.transformation, *sorted(self.common)

    def make(self) -> Any:
        """The optax transformation; its updates are a direction of ascent for named methods, the final step for a user's."""
        if self.transformation is not None:
            return self.transformation
        method = METHODS[self.name]
        return method.make(**{method.suboptions[name][0]: value for name, value in self.options})

    def start(self, arrays: Any) -> Any:
        """What the method keeps, before the first step; where that is zeros, without a compilation."""
        init = self.make().init
        if not self.own or not METHODS[self.name].zeros:
            return jax.jit(init)(arrays)
        return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(init, arrays))

    def describe(self) -> str:
        """As Mathematica's panel words it."""
        return f"{self.name} optimizer"


def optimizer(method: Any, learning_rate: Any) -> Optimizer:
    """The optimizer that the settings Method and LearningRate mean."""
    if method is Automatic:
        method = "ADAM"
    listed = isinstance(method, (list, tuple)) and len(method) > 0 and not _is_transformation(method)
    name, given = (method[0], method[1:]) if listed else (method, ())
    own = not _is_transformation(name)
    if own and not (isinstance(name, str) and name in METHODS):
        raise DeclarationError(
            f"NetTrain has no Method {excerpt(name)}. {nearest(name, METHODS)} "
            + (
                "Call it with its numbers: optax.adam(0.001)."
                if callable(name)
                else "Any optax.GradientTransformation is taken too."
            )
        )
    rate = None if learning_rate is Automatic else _rate(learning_rate)
    words = repr(name) if own else "of optax"
    options = {key: default for key, (_, default) in METHODS[name].suboptions.items()} if own else {}
    common: dict[str, Any] = {}
    for key, value in suboptions(given, f"Method {words}", [*options, *COMMON]).items():
        if key in options:
            options[key] = _number(number(AT_LEAST[key]) if key in AT_LEAST else FRACTION, key, words, value)
        elif key == "LearningRate":
            rate = _rate(value) if rate is None and value is not Automatic else rate
        elif value is not None and value is not Automatic:
            common[key] = _common(key, words, value)
    if not own and rate is not None:
        raise DeclarationError("LearningRate is part of an optax transformation given as Method. Leave LearningRate out.")
    if rate is None:
        rate = METHODS[name].learning_rate if own else 1.0
    plan = common.pop("LearningRateSchedule", None)
    if own:
        return Optimizer(name, tuple(options.items()), None, rate, plan, common)
    return Optimizer("optax", (), name, rate, plan, common)


def _is_transformation(thing: Any) -> bool:
    return callable(getattr(thing, "init", None)) and callable(getattr(thing, "update", None))


def _common(key: str, words: str, value: Any) -> Any:
    """The setting of a suboption that every method has, checked as far as it can be without the net."""
    if key == "LearningRateSchedule":
        return schedule(value)
    if key == "GradientAccumulation":
        return _number(integer(1), key, words, value)
    return _number(FRACTION, key, words, value) if key == "MovingAverage" else value


def _rate(value: Any) -> float:
    try:
        return float(number(0).keep(value))
    except (ValueError, TypeError):
        cure = " A schedule is a suboption of Method, LearningRateSchedule." if callable(value) else ""
        raise DeclarationError(f"LearningRate is a number of at least 0 or Automatic. Got {excerpt(value)}.{cure}") from None


def _number(constraint: Any, key: str, words: str, value: Any) -> Any:
    try:
        return constraint.keep(value)
    except (ValueError, TypeError):
        raise DeclarationError(f"The suboption {key!r} of Method {words} is {constraint.words}. Got {excerpt(value)}.") from None
