"""Loss layers: they compare an input with a target and give one number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.declarations import one_of, parameter
from netdsl.nets import Layer, Sequence
from netdsl.shapes import ArrayType, Signature, parse_signature

__all__ = ["CrossEntropyLossLayer", "MeanAbsoluteLossLayer", "MeanSquaredLossLayer"]

SMALLEST = float(jnp.finfo(jnp.float32).tiny)
"""Probabilities are clipped here before their logarithm, so that losses and gradients stay finite."""


def safe_log(probabilities: Any) -> Any:
    """The logarithm, at the smallest normal float32 and above."""
    return jnp.log(jnp.maximum(probabilities, SMALLEST))


def pair(a: Any, b: Any) -> tuple[Any, Any, Any]:
    """The data of two inputs, and the sequence that says which of it is real, if one of them varies."""
    sequence = a if isinstance(a, Sequence) else b if isinstance(b, Sequence) else None
    return (*(v.data if isinstance(v, Sequence) else v for v in (a, b)), sequence)


def mean_over(values: Any, sequence: Sequence | None) -> Any:
    """The mean of all elements, or of the real ones of a sequence."""
    if sequence is None:
        return jnp.mean(values)
    mask = sequence.mask.reshape((-1,) + (1,) * (values.ndim - 1))
    per_element = values.size // values.shape[0]
    return jnp.sum(jnp.where(mask, values, 0)) / (sequence.length * per_element)


class MeanSquaredLossLayer(Layer):
    """The mean of the squared differences.

    Loss = mean over i... of (Input[i...] - Target[i...])²

    Ports: Input and Target, arrays of equal size (level 1 may vary); Loss, a number.

    >>> float(MeanSquaredLossLayer()({"Input": [1.0, 2.0], "Target": [1.0, 4.0]}))
    2.0

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    arithmetic = "exact"
    signature = "Input: ..., Target: ... -> Loss:"
    varying = "aware"

    def apply(self, arrays: Any, x: Any, target: Any) -> Any:
        x, target, sequence = pair(x, target)
        return mean_over(jnp.square(x - target), sequence)


class MeanAbsoluteLossLayer(Layer):
    """The mean of the absolute differences.

    Loss = mean over i... of |Input[i...] - Target[i...]|

    Ports: Input and Target, arrays of equal size (level 1 may vary); Loss, a number.

    >>> float(MeanAbsoluteLossLayer()({"Input": [1.0, 2.0], "Target": [1.0, 4.0]}))
    1.0

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    arithmetic = "exact"
    signature = "Input: ..., Target: ... -> Loss:"
    varying = "aware"

    def apply(self, arrays: Any, x: Any, target: Any) -> Any:
        x, target, sequence = pair(x, target)
        return mean_over(jnp.abs(x - target), sequence)


_FORMS = {
    "Index": "Input: ... c, Target: ... of 1..c -> Loss:",
    "Probabilities": "Input: ... c, Target: ... c -> Loss:",
    "Binary": "Input: ..., Target: ... -> Loss:",
}


class CrossEntropyLossLayer(Layer):
    """The cross entropy of predicted probabilities, in nats.

    "Index": Loss = -log Input[Target]; "Probabilities": Loss = -Σ over c of Target[c]·log Input[c];
    "Binary": Loss = -(Target·log Input + (1 - Target)·log(1 - Input)); each averaged over the remaining levels.

    Ports: Input, probabilities {…, c}; Target, integers 1..c {…} ("Index"), probabilities {…, c}, or for "Binary" both of
    any equal size; Loss, a number. Level 1 may vary.

    Parameters: TargetForm, "Index", "Probabilities" or "Binary".

    The input is probabilities, never logits: put a SoftmaxLayer or LogisticSigmoid before it. The two are computed together, so
    that loss and gradient stay finite for large logits; probabilities alone are clipped at the smallest normal float32.

    >>> round(float(CrossEntropyLossLayer("Index")({"Input": [0.5, 0.5], "Target": 2})), 4)
    0.6931

    Differences from Wolfram: the form must be given. Source: Wolfram's public reference page.
    """

    TargetForm: Any = parameter(one_of("Index", "Probabilities", "Binary"), positional=True)

    arithmetic = "exact"
    signature = "Input: ..., Target: ... -> Loss:"
    varying = "aware"

    def by_signature(self, types: Mapping[str, ArrayType]) -> dict[str, ArrayType]:
        form: Signature = parse_signature(_FORMS[self.TargetForm])
        return form.relate(types, {})

    def apply(self, arrays: Any, x: Any, target: Any) -> Any:
        x, target, sequence = pair(x, target)
        if self.TargetForm == "Binary":
            losses = -(target * safe_log(x) + (1 - target) * safe_log(1 - x))
            return mean_over(losses, sequence)
        return self.from_log_probabilities(safe_log(x), target, sequence)

    def from_log_probabilities(self, logs: Any, target: Any, sequence: Sequence | None) -> Any:
        """The loss where logarithms of probabilities are given: what a fused SoftmaxLayer uses."""
        if self.TargetForm == "Index":
            losses = -jnp.take_along_axis(logs, (target - 1)[..., None], axis=-1)[..., 0]
        else:
            losses = -jnp.sum(target * logs, axis=-1)
        return mean_over(losses, sequence)

    def from_logits(self, logits: Any, target: Any) -> Any:
        """The loss where what SoftmaxLayer (or for "Binary" LogisticSigmoid) would get is given."""
        logits, target, sequence = pair(logits, target)
        if self.TargetForm == "Binary":
            return mean_over(jax.nn.softplus(logits) - target * logits, sequence)
        return self.from_log_probabilities(jax.nn.log_softmax(logits, axis=-1), target, sequence)
