"""Attention: means of values, weighted by how well their keys fit a query: AttentionLayer, SequenceAttentionLayer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from textwrap import indent
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp

from netdsl.constraints import BOOLEAN, POSITIVE, Constraint, FrozenDict, number, one_of, source_text
from netdsl.declarations import parameter
from netdsl.errors import DeclarationError
from netdsl.layers.elementwise import dropped
from netdsl.nets import Layer, Net, Operator, Sequence, Solved, array, lift_shared
from netdsl.nets.program import solve
from netdsl.nets.report import contradictions
from netdsl.shapes import REAL, SCALAR, ArrayType, Contradiction, Length, Size, merge_sizes, parse_signature
from netdsl.symbols import Automatic, Rule

__all__ = ["AttentionLayer", "SequenceAttentionLayer"]

NET = "Net"
"""What Scoring is where a net of the user's scores; the net itself is among the layer's nets, under this name."""


class BilinearScoring(Layer):
    """The score of a key and a query by a matrix: Input · Weights · Query."""

    Weights = array("k q")

    signature = "Input: k, Query: q -> Output:"

    def apply(self, arrays: Any, key: Any, query: Any) -> Any:
        return key @ arrays.Weights @ query


def _scores(value: Any) -> bool:
    return isinstance(value, Net) and set(value.input_names) == {"Input", "Query"} and len(value.output_names) == 1


def _scoring(value: Any) -> Any:
    if not _scores(value) and value not in ("Bilinear", "Dot"):
        raise ValueError
    return value


def _mask(value: Any) -> Any:
    if isinstance(value, str):
        return one_of("Causal").keep(value)
    pairs = [(value.key, value.value)] if isinstance(value, Rule) else value.items() if isinstance(value, Mapping) else [value]
    [(name, window)] = pairs
    return one_of("Causal").keep(name), POSITIVE.keep(window)


SCORING = Constraint(
    '"Bilinear", "Dot" or a net with the inputs Input and Query and one output', _scoring, ("no such scoring", "Net", 3)
)
MASK = Constraint('"Causal" or ["Causal", n] with a positive integer n', _mask, ("causal", ["Causal", 0], {}, 3))


class _Attention(Operator):
    """What the layers of attention share: how keys are scored, and the mean that the scores weigh.

    A subclass states as rules of shapes how its ports relate. In them h are heads, k is the size of a key, q that of a query.
    """

    Scoring: Any = parameter(SCORING, "Bilinear", positional=True)
    Mask: Any = None
    MultiHead: Any = False
    ScoreRescaling: Any = None
    Dropout: Any = 0

    arithmetic = "free"
    varying = "aware"
    inner_options = ("Weights",)
    keyed: ClassVar[str] = "Key"
    """The port of the keys."""

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules of shapes; equal names are equal sizes in all of them, what ``...`` stands for in one of them only."""
        raise NotImplementedError

    @property
    def draws(self) -> str | None:  # type: ignore[override]
        return "training" if self.Dropout > 0 else None

    def _empty_arrays(self) -> None:
        super()._empty_arrays()
        scoring = self.Scoring
        if scoring == "Bilinear":
            self._score_by(BilinearScoring())
        elif isinstance(scoring, Net):
            self.__dict__["Scoring"] = NET
            self._score_by(scoring)

    def _score_by(self, net: Net) -> None:
        self.__dict__["nets"] = FrozenDict({NET: net})
        lift_shared(self)

    def _take_array(self, name: str, value: Any) -> bool:
        if name != "Weights":
            return super()._take_array(name, value)
        if value is not None and value is not Automatic:
            if self.Scoring != "Bilinear":
                raise DeclarationError(f'{self.title()} has Weights only where it scores by "Bilinear".')
            self._score_by(BilinearScoring(Weights=value))
        return True

    @property
    def bilinear(self) -> bool:
        """Whether it scores by a matrix."""
        return isinstance(self.nets.get(NET), BilinearScoring)

    def rebuilt(self, **entries: Any) -> Self:
        made = super().rebuilt(**entries)
        made.__dict__["Scoring"] = "Bilinear" if made.bilinear else NET if made.nets else "Dot"
        return made

    def changed(self, **changes: Any) -> Self:
        """The same with some fields changed. The matrix belongs to the scoring, and goes with it."""
        return super().changed(**({"Weights": Automatic} if "Scoring" in changes else {}) | changes)

    def fields(self) -> dict[str, Any]:
        scoring = {"Weights": self.nets[NET].__dict__["Weights"]} if self.bilinear else {"Scoring": self.nets.get(NET, "Dot")}
        return super().fields() | scoring

    def _written(self) -> list[str]:
        written = super()._written()
        if self.bilinear:
            weights = self.nets[NET].__dict__["Weights"]
            return written + ([f"Weights={source_text(weights)}"] if weights is not Automatic else [])
        return [repr(self.nets[NET]), *written[1:]] if self.nets else written

    # Types

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        return self._related(types, defaults=False)

    def default(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:  # type: ignore[override]
        """What the layers of a scoring net assume where nothing says more."""
        return self._related(types, defaults=True)

    def _related(self, types: Mapping[str, ArrayType], defaults: bool) -> Mapping[str, ArrayType]:
        rules = [parse_signature(rule) for rule in self.rules]
        known = {port: type_ for rule in rules for port, type_ in rule.relate(types, {}).items()}
        bound: dict[str, Size] = {}
        for slot in (slot for rule in rules for slot in rule.inputs + rule.outputs):
            for name, size in zip(reversed(slot.after or slot.before), reversed(known[slot.name].sizes or ())):
                if isinstance(size, Length) and name != "t":
                    raise Contradiction("takes vectors of fixed size at its last level", slot.name)
                bound[str(name)] = merge_sizes(bound.get(str(name)), size, slot.name)
        k, q = self._scored(bound.get("k"), bound.get("q"), defaults)
        if k is not None:
            bound["k"] = k
        if q is not None:
            bound["q"] = q
        return {port: type_ for rule in rules for port, type_ in rule.relate(types, bound).items()}

    def _scored(self, k: Size, q: Size, defaults: bool) -> tuple[Size, Size]:
        """The sizes of a key and a query, and what the scoring says of them."""
        if self.nets:
            inner = self._inner(k, q, defaults)
            return tuple((inner.input_type(port).sizes or (None,))[0] for port in ("Input", "Query"))  # type: ignore[return-value]
        both = merge_sizes(k, q, "Query")
        return both, both

    def _inner(self, k: Size, q: Size, defaults: bool = True) -> Solved:
        """The solution of the scoring net for keys and queries of these sizes; kept for those seen last."""
        net = self.nets[NET]
        if not _scores(net):
            raise Contradiction("needs a scoring net with the inputs Input and Query and one output", self.keyed)

        def made() -> Solved:
            ports = {"Input": ArrayType((k,), REAL), "Query": ArrayType((q,), REAL), net.output_names[0]: SCALAR}
            solved = solve(net, ports, defaults, source="operator")
            if solved.clashes:
                text = indent(contradictions(net, solved), "  ")
                raise Contradiction(f"cannot score a key and a query by its net:\n{text}", self.keyed)
            return solved

        return self._kept("_inner_solutions", (k, q, defaults), made)  # type: ignore[no-any-return]

    def inner_solved(self, types: Mapping[str, ArrayType]) -> Mapping[str, Solved]:
        if not self.nets:
            return {}
        k, q = ((types[port].sizes or (None,))[-1] for port in (self.keyed, "Query"))
        return {NET: self._inner(k, q)}

    # Computation

    def attended(
        self, arrays: Any, key: Any, value: Any, query: Any, draw: Any, inner: Any, weight: Any, state: Any
    ) -> tuple[Any, Any]:
        """The mean of the values for each query, and the state after it."""
        keys, values, queries = (self._rows(x) for x in (key, value, query))
        real, asked = _real(key, len(keys)), _real(query, len(queries))
        state = state if self.nets else {}
        if self.nets and not self.bilinear:
            scores, state = _scores_of_pairs(inner[NET], keys, queries, real * asked[:, None] * weight, state)
        else:
            with_weights = keys @ inner[NET].array("Weights") if self.bilinear else keys
            scores = jnp.einsum("mhq,nhq->hmn", queries, with_weights)
        scores = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
        if self.ScoreRescaling is not None:
            scores = scores / math.sqrt(keys.shape[-1])
        weights = jax.nn.softmax(scores, axis=-1, where=real if self.Mask is None else real & self._seen(asked))
        if draw is not None:  # for each query by itself and the keys in order, so that longer padding changes no draw
            ones = jnp.ones((len(keys), keys.shape[1]), weights.dtype)
            kept = jax.vmap(lambda place: dropped(jax.random.fold_in(draw, place), ones, self.Dropout))
            weights = weights * jnp.moveaxis(kept(jnp.arange(len(queries))), -1, 0)
        shape = query.data.shape if isinstance(query, Sequence) else query.shape
        y = jnp.einsum("hmn,nhv->mhv", weights.astype(values.dtype), values).reshape(*shape[:-1], values.shape[-1])
        return (query.with_data(y) if isinstance(query, Sequence) else y), state

    def _rows(self, x: Any) -> Any:
        """The vectors of a port as (positions, heads, size)."""
        data = x.data if isinstance(x, Sequence) else x
        heads = data.shape[-2] if self.MultiHead else 1
        return data.astype(jnp.result_type(data.dtype, float)).reshape(-1, heads, data.shape[-1])

    def _seen(self, asked: Any) -> Any:
        """Which keys each query sees under the mask; queries that are padding see what the last real one does."""
        window = math.inf if self.Mask == "Causal" else self.Mask[1]
        places = jnp.arange(len(asked))
        back = jnp.minimum(places, jnp.sum(asked) - 1)[:, None] - places
        return (back >= 0) & (back < window)


def _real(x: Any, count: int) -> Any:
    """Which of the positions of a port, level 1 the slowest, are no padding."""
    return jnp.repeat(x.mask, count // len(x.data)) if isinstance(x, Sequence) else jnp.ones(count, bool)


def _scores_of_pairs(net: Any, keys: Any, queries: Any, weights: Any, state: Any) -> tuple[Any, Any]:
    """What a net says of each query and key, as (heads, queries, keys), and its state after it."""
    sizes = (len(queries), *keys.shape[:2])
    pairs = {
        "Input": jnp.broadcast_to(keys, (*sizes, keys.shape[-1])).reshape(-1, keys.shape[-1]),
        "Query": jnp.broadcast_to(queries[:, None], (*sizes, queries.shape[-1])).reshape(-1, queries.shape[-1]),
    }
    places = tuple(place.reshape(-1) for place in jnp.indices(sizes))
    outputs, state = net.mapped(pairs, state, jnp.broadcast_to(weights[..., None], sizes).reshape(-1), places)
    net.logits = None  # the output is not made of what the scores were made of
    return jnp.moveaxis(outputs[net.output_names[0]].reshape(sizes), -1, 0), state


class AttentionLayer(_Attention):
    """The mean of values, weighted for each query by how well their keys fit it.

    y[j] = Σ over i of w[j, i]·Value[i] with w[j, :] = softmax over all i of f(Key[i], Query[j]);
    "Bilinear": f(k, q) = k · Weights · q; "Dot": f(k, q) = k · q.

    Ports: Key {d1, …, dn, k} and Value {d1, …, dn, v}, n at least 1; Query {q1, …, qm, q}; Output {q1, …, qm, v}. Level 1 of keys
    and values may vary, and that of queries. With MultiHead one level more before the last, of equal size in all: the heads.

    Arrays: those of the scoring net at "Net"; of "Bilinear" the matrix Weights {k, q}, which the option Weights gives too.

    Parameters: Scoring, "Bilinear" (default), "Dot", or a net with the inputs Input (a key) and Query that gives a number; Mask,
    None (default), "Causal" (queries and keys are sequences of equal length, and a query sees keys up to its own place) or
    ["Causal", n] (of them the last n); MultiHead (False), whether each head attends by itself; ScoreRescaling, None or
    "DimensionSqrt", which divides f by sqrt(k); Dropout, the probability to drop a weight while training (0).

    >>> AttentionLayer("Dot")({"Key": [[0.0], [0.0]], "Value": [[1.0, 2.0], [3.0, 4.0]], "Query": [1.0]}).tolist()
    [2.0, 3.0]

    Differences from Wolfram: a causal mask needs one level of queries and keys, of equal length, and a window counts the query's
    own place [M]; the name "DimensionSqrt" is remembered [M]. Source: Wolfram's public reference page.
    """

    Mask: Any = parameter(MASK, None)
    MultiHead: Any = parameter(BOOLEAN, False)
    ScoreRescaling: Any = parameter(one_of("DimensionSqrt"), None)
    Dropout: Any = parameter(number(0, 1), 0)

    signature = "Key: ..., Value: ..., Query: ... -> Output: ..."

    @property
    def rules(self) -> tuple[str, ...]:
        h = "h " if self.MultiHead else ""
        if self.Mask is not None:
            return (f"Key: t {h}k, Value: t {h}v, Query: t {h}q -> Output: t {h}v",)
        return f"Key: t ... {h}k, Value: t ... {h}v ->", f"Query: ... {h}q -> Output: ... {h}v"

    def apply(self, arrays: Any, k: Any, v: Any, q: Any, *, key: Any, inner: Any, weight: Any, state: Any) -> tuple[Any, Any]:
        return self.attended(arrays, k, v, q, key, inner, weight, state)


class SequenceAttentionLayer(_Attention):
    """The mean of a sequence's elements, weighted for each query by how well they fit it: an older form of AttentionLayer.

    y[j] = Σ over i of w[j, i]·Input[i] with w[j, :] = softmax over all i of f(Input[i], Query[j])

    Ports: Input {d1, …, dn, k}, n at least 1; Query {q1, …, qm, q}; Output {q1, …, qm, k}. Level 1 of both may vary.

    Arrays: those of the scoring net at "Net"; of "Bilinear" the matrix Weights {k, q}, which the option Weights gives too.

    Parameters: Scoring, f: "Bilinear" (default), "Dot", or a net with the inputs Input and Query that gives a number.

    >>> SequenceAttentionLayer("Dot")({"Input": [[0.0, 2.0], [0.0, 4.0]], "Query": [1.0, 0.0]}).tolist()
    [0.0, 3.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    signature = "Input: ..., Query: ... -> Output: ..."
    keyed = "Input"

    @property
    def rules(self) -> tuple[str, ...]:
        return "Input: t ... k ->", "Query: ... q -> Output: ... k"

    def apply(self, arrays: Any, x: Any, q: Any, *, key: Any, inner: Any, weight: Any, state: Any) -> tuple[Any, Any]:
        return self.attended(arrays, x, x, q, key, inner, weight, state)
