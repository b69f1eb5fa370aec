"""Loss layers: they compare an input with a target and give one number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.constraints import number, one_of
from netdsl.declarations import parameter
from netdsl.nets import Layer, Sequence
from netdsl.shapes import INTEGER, ArrayType, Contradiction, Elements, Signature, parse_signature

__all__ = ["CTCLossLayer", "ContrastiveLossLayer", "CrossEntropyLossLayer", "MeanAbsoluteLossLayer", "MeanSquaredLossLayer"]

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


class CTCLossLayer(Layer):
    """The connectionist temporal classification of a sequence: how unlikely it is to be read, whatever the timing.

    Loss = -log Σ over readings r of Π over t of Input[t, r[t]]; a reading gives each t a class or the blank, and becomes Target
    when first neighbours that are equal are joined and then the blanks are left out.

    Ports: Input {T, c + 1}, at each t the probabilities of c classes and, last, of the blank; Target {n}, integers 1..c, n at most
    T; Loss, a number. T and n may vary.

    A SoftmaxLayer before it is computed together with it, so that loss and gradient stay finite for large logits; probabilities
    alone are clipped at the smallest normal float32. A target that no reading of T steps gives has a loss of 100,000 or more.

    >>> round(float(CTCLossLayer()({"Input": [[0.5, 0.5], [0.5, 0.5]], "Target": [1]})), 4)
    0.2877

    Differences from Wolfram: probabilities that do not sum to 1 are scaled so that they do. Source: Wolfram's public reference page;
    Graves et al., Connectionist temporal classification, 2006.
    """

    arithmetic = "exact"
    signature = "Input: t size, Target: n of 1..classes -> Loss:"
    varying = "aware"

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        said = self.by_signature(types)
        size, classes = said["Input"].sizes[1], (said["Target"].elements or INTEGER).high  # type: ignore[index]
        if isinstance(size, int):
            if size < 2 or classes not in (None, size - 1):
                needs = f"{classes} classes" if classes else "one class"
                raise Contradiction(f"needs the probabilities of {needs} and the blank, not {size}", "Input")
            classes = size - 1
        elif classes is not None:
            size = classes + 1
        elements = INTEGER if classes is None else Elements("integer", 1, classes)
        return said | {"Input": said["Input"].repeated((size,)), "Target": ArrayType(said["Target"].sizes, elements)}

    def apply(self, arrays: Any, x: Any, target: Any) -> Any:
        return self.from_logits(x.with_data(safe_log(x.data)) if isinstance(x, Sequence) else safe_log(x), target)

    def from_logits(self, logits: Any, target: Any) -> Any:
        """The loss where what SoftmaxLayer would get is given."""
        import optax

        (logits, beyond), (target, none) = _padded(logits), _padded(target)
        with jax.default_matmul_precision("highest"):  # optax picks the logarithms of classes by a matrix product
            return optax.ctc_loss(logits[None], beyond[None], target[None] - 1, none[None], blank_id=logits.shape[-1] - 1)[0]


def _padded(x: Any) -> tuple[Any, Any]:
    """The elements of what may be a sequence, and 1 for each that is padding, else 0."""
    data, real = (x.data, x.mask) if isinstance(x, Sequence) else (x, jnp.ones(len(x), bool))
    return data, 1.0 - real


class ContrastiveLossLayer(Layer):
    """A loss of a distance that is to be small for what is alike, and at least a margin for what is different.

    Loss = Input where Target is False (alike), max(0, Margin - Input) where it is True (different)

    Ports: Input, a distance; Target, True or False, as 1 or 0; Loss, a number.

    Parameters: Margin, a number of at least 0 (default 0.5).

    >>> ContrastiveLossLayer()({"Input": [0.25, 0.25], "Target": [False, True]}).tolist()
    [0.25, 0.25]

    Differences from Wolfram: a target between 0 and 1 weighs the two losses. Source: Wolfram's public reference page; the closed form
    is remembered [M].
    """

    Margin: Any = parameter(number(0), 0.5, positional=True)

    arithmetic = "exact"
    signature = "Input:, Target: -> Loss:"

    def apply(self, arrays: Any, x: Any, target: Any) -> Any:
        return target * jnp.maximum(self.Margin - x, 0) + (1 - target) * x
