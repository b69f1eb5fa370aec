"""Operators that compare: NetPairEmbeddingOperator two things, NetGANOperator what is made with what is real."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.constraints import one_of
from netdsl.containers.applied import (
    Applied,
    Types,
    array_of_these,
    element_of,
    only,
    outside,
    same_type,
)
from netdsl.declarations import parameter
from netdsl.functions import FUNCTIONS
from netdsl.nets import Solved
from netdsl.shapes import REAL, ArrayType
from netdsl.symbols import Automatic

__all__ = ["NetGANOperator", "NetPairEmbeddingOperator"]

EuclideanDistance, CosineDistance = FUNCTIONS["EuclideanDistance"], FUNCTIONS["CosineDistance"]


class NetPairEmbeddingOperator(Applied):
    """The distance between what a net makes of the two elements of a pair.

    y = distance(net(x[1]), net(x[2]))

    Ports: Input, a pair of what the net takes, encoded by its encoder; Output, a number.

    Parameters: a net with one input and one output, at "Net" for NetExtract; DistanceFunction, EuclideanDistance (default) or
    CosineDistance.

    >>> NetPairEmbeddingOperator(Ramp, Input=[2, 2])([[3.0, -1.0], [0.0, 4.0]])
    5.0

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    signature = "2 ... -> Output:"
    varying = None
    _how = " to each of the pair"
    DistanceFunction: Any = parameter(one_of(EuclideanDistance, CosineDistance), EuclideanDistance)

    def ends(self) -> list[tuple[str, str, str, int]]:
        return [("Input", "Net", only(self.nets["Net"])[0], 1)]

    def inward(self, types: Types) -> dict[str, dict[str, ArrayType]]:
        return {"Net": {only(self.nets["Net"])[0]: element_of(self.by_signature(types)["Input"])}}

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        return {"Input": array_of_these(solved["Net"].input_type(only(self.nets["Net"])[0]), (2,)), "Output": ArrayType((), REAL)}

    def apply(self, arrays: Any, x: Any, *, inner: Any, weight: Any, state: Any) -> Any:
        net = inner["Net"]
        port, out = only(net)
        outputs, state = net.mapped({port: x}, state, weight)
        return self.DistanceFunction(outputs[out][0], outputs[out][1]), state


class NetGANOperator(Applied):
    """A generator and a discriminator that train against each other.

    "JensenShannon": LossReal = -log D(x), LossFake = -log(1 - D(G(z))); "Wasserstein": LossReal = -D(x), LossFake = D(G(z)).
    The slope that reaches the generator is reversed: minimizing both losses trains the one to tell and the other to deceive.

    Ports: Sample, what the discriminator takes; Latent, what the generator takes; LossReal and LossFake, numbers; GeneratedFake, what
    the generator makes.

    Parameters: a list of the generator and the discriminator, each with one input and one output, at "Generator" and
    "Discriminator" for NetExtract [M]; Loss, "JensenShannon", "Wasserstein" or Automatic: the first where the discriminator ends in
    probabilities.

    >>> gan = NetGANOperator([NetChain([2]), NetChain([LinearLayer([]), LogisticSigmoid])], Sample=2, Latent=3)
    >>> gan.output_names
    ('LossReal', 'LossFake', 'GeneratedFake')

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    slots = ("Generator", "Discriminator")
    signature = "Sample: ..., Latent: -> LossReal:, LossFake:, GeneratedFake: ..."
    varying = None
    Loss: Any = parameter(one_of("JensenShannon", "Wasserstein"), Automatic, positional=True)

    def ends(self) -> list[tuple[str, str, str, int]]:
        takes, makes = only(self.nets["Generator"])
        judged = only(self.nets["Discriminator"])[0]
        return [
            ("Sample", "Discriminator", judged, 0),
            ("Latent", "Generator", takes, 0),
            ("GeneratedFake", "Generator", makes, 0),
        ]

    def inward(self, types: Types) -> dict[str, dict[str, ArrayType]]:
        takes, makes = only(self.nets["Generator"])
        judged, verdict = only(self.nets["Discriminator"])
        sample = same_type(types["Sample"], types["GeneratedFake"], "Sample")
        return {
            "Generator": {takes: types["Latent"], makes: sample},
            "Discriminator": {judged: sample, verdict: ArrayType((), REAL)},
        }

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        takes, makes = only(self.nets["Generator"])
        judged = solved["Discriminator"].input_type(only(self.nets["Discriminator"])[0])
        sample = same_type(judged, solved["Generator"].output_type(makes), "Sample")
        number = ArrayType((), REAL)
        latent = outside(solved["Generator"].input_type(takes))
        return {"Sample": sample, "GeneratedFake": sample, "Latent": latent, "LossReal": number, "LossFake": number}

    def apply(self, arrays: Any, sample: Any, latent: Any, *, inner: Any, state: Any) -> Any:
        generator, discriminator = inner["Generator"], inner["Discriminator"]
        (takes, makes), (judged, verdict) = only(generator), only(discriminator)
        fake, state = generator({takes: latent}, state)
        losses = []
        for real, thing in ((True, sample), (False, _reversing(fake[makes]))):
            said, state = discriminator({judged: thing}, state, int(real))
            losses.append(self._loss(said[verdict], discriminator.logits, real))
        return (*losses, fake[makes]), state

    def _loss(self, verdict: Any, logits: Any, real: bool) -> Any:
        probable = logits is not None and logits[0] == "sigmoid"
        if self.Loss == "Wasserstein" or (self.Loss is Automatic and not probable):
            return -verdict if real else verdict
        if probable:
            return jax.nn.softplus(-logits[1] if real else logits[1])
        return -jnp.log(jnp.maximum(verdict if real else 1 - verdict, jnp.finfo(verdict.dtype).tiny))


@jax.custom_vjp
def _reversing(x: Any) -> Any:
    """The same; the slope that comes back changes its sign."""
    return x


_reversing.defvjp(lambda x: (x, None), lambda _, slope: (-slope,))
