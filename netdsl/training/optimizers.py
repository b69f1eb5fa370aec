"""The optimizers by name: optax transformations that give a direction, which the loop scales by the learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.declarations import frozen, number
from netdsl.errors import DeclarationError, UnsupportedError, excerpt, nearest
from netdsl.symbols import Automatic, Rule

__all__ = ["METHODS", "Optimizer", "optimizer"]

METHODS: dict[str, dict[str, float]] = {
    "ADAM": {"Beta1": 0.9, "Beta2": 0.999, "Epsilon": 1e-5},
    "RMSProp": {"Beta": 0.95, "Epsilon": 1e-6, "Momentum": 0.9},
    "SGD": {"Momentum": 0.93},
    "SignSGD": {"Momentum": 0.93},
}
"""The methods and the defaults of their suboptions, remembered [M]."""

LEARNING_RATES: dict[str, float] = {"ADAM": 0.001, "RMSProp": 0.001, "SGD": 0.01, "SignSGD": 0.0001}
"""The initial learning rate of each method when LearningRate is Automatic [M]."""

BELOW_ONE = math.nextafter(1.0, 0.0)

LATER = ("LearningRateSchedule", "L2Regularization", "GradientClipping", "WeightClipping")


@dataclass(frozen=True)
class Optimizer:
    """A named method with its suboptions, or an optax transformation of the user's."""

    name: str
    options: tuple[tuple[str, float], ...] = ()
    transformation: Any = None
    learning_rate: float = 0.001

    @property
    def own(self) -> bool:
        """Whether it is one of the named methods, whose steps the learning rate scales."""
        return self.transformation is None

    def make(self) -> Any:
        """The optax transformation; its updates are a direction of ascent for named methods, the final step for a user's."""
        import optax

        if self.transformation is not None:
            return self.transformation
        options = dict(self.options)
        if self.name == "ADAM":
            return optax.scale_by_adam(b1=options["Beta1"], b2=options["Beta2"], eps=options["Epsilon"])
        if self.name == "RMSProp":
            scaled = optax.scale_by_rms(decay=options["Beta"], eps=options["Epsilon"])
            return optax.chain(scaled, optax.trace(options["Momentum"]))
        if self.name == "SGD":
            return optax.trace(options["Momentum"])
        return optax.chain(optax.trace(options["Momentum"]), optax.stateless(lambda updates, _: jax.tree.map(jnp.sign, updates)))

    def start(self, arrays: Any) -> Any:
        """What the method keeps, before the first step: zeros for named methods, without a compilation."""
        init = self.make().init
        if not self.own:
            return jax.jit(init)(arrays)
        return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(init, arrays))

    def describe(self) -> str:
        """As Mathematica's panel words it."""
        return f"{self.name} optimizer"


def optimizer(method: Any, learning_rate: Any) -> Optimizer:
    """The optimizer that the settings Method and LearningRate mean."""
    if method is Automatic:
        method = "ADAM"
    rate = None if learning_rate is Automatic else _rate(learning_rate)
    if callable(getattr(method, "init", None)) and callable(getattr(method, "update", None)):
        if rate is not None:
            raise DeclarationError("LearningRate is part of an optax transformation given as Method. Leave LearningRate out.")
        return Optimizer("optax", transformation=method, learning_rate=1.0)
    method = frozen(method)
    name, given = (method[0], method[1:]) if isinstance(method, tuple) and method else (method, ())
    if name not in METHODS:
        raise DeclarationError(
            f"NetTrain has no Method {excerpt(name)}. {nearest(name, METHODS)} Any optax.GradientTransformation is taken too."
        )
    options = dict(METHODS[name])
    for item in given:
        entries = item.items() if isinstance(item, Mapping) else [(item.key, item.value)] if isinstance(item, Rule) else None
        if entries is None:
            raise DeclarationError(f"The suboptions of Method {name!r} are a dict. Got {excerpt(item)}.")
        for key, value in entries:
            if key == "LearningRate":
                rate = _rate(value) if rate is None else rate
            elif key in LATER:
                raise UnsupportedError(
                    f"The suboption {key!r} of Method is not supported yet. An optax transformation given as Method can do it."
                )
            elif key not in options:
                raise DeclarationError(f"Method {name!r} has no suboption {key!r}. {nearest(key, [*options, 'LearningRate'])}")
            else:
                options[key] = _suboption(name, key, value)
    return Optimizer(name, tuple(options.items()), learning_rate=LEARNING_RATES[name] if rate is None else rate)


def _rate(value: Any) -> float:
    try:
        return float(number(0).keep(value))
    except (ValueError, TypeError):
        raise DeclarationError(f"LearningRate is a number of at least 0 or Automatic. Got {excerpt(value)}.") from None


def _suboption(name: str, key: str, value: Any) -> float:
    constraint = number(0) if key == "Epsilon" else number(0, BELOW_ONE, words="a number from 0 to below 1")
    try:
        return float(constraint.keep(value))
    except (ValueError, TypeError):
        raise DeclarationError(f"The suboption {key!r} of Method {name!r} is {constraint.words}. Got {excerpt(value)}.") from None
