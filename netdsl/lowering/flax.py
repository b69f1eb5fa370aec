"""A net as a Flax NNX module; imported only where one is made, as it imports Flax."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import nnx

from netdsl.errors import DeclarationError, UninitializedError, excerpt, listing
from netdsl.lowering.function import draws_always, net_function, skeleton
from netdsl.lowering.identity import program_key
from netdsl.nets import ArrayPath, Net, path_text

__all__ = ["FlaxModule"]


class FlaxModule(nnx.Module):
    """A net as a Flax NNX module; `net.to_flax()` makes it.

    ``module(inputs)`` is the value for a batch: `inputs` is an array with the examples first, or a dict of them by port, in the
    port's own form; one output port gives an array, several a dict. In training mode (after ``module.train()``, or with
    ``training=True``) the state of the module changes, and layers that draw random numbers use `key`, or the stream "dropout" of
    the `rngs` that the module was made with.

    The trainable arrays are the nnx.Params ``module.arrays[...]``, the state the nnx.BatchStats ``module.states[...]``, nested as
    the net is. ``module.to_net()`` is the net with the values that the module has now.

    Raises UninitializedError for a net without values, ShapeError where the shape of an input port is unknown.

    >>> import jax.numpy as jnp
    >>> from netdsl import LinearLayer
    >>> module = LinearLayer(Weights=[[1.0, 2.0]], Biases=[3.0]).to_flax()
    >>> module(jnp.ones((2, 2))).tolist(), module.to_net()([1.0, 1.0]).tolist()
    ([[6.0], [6.0]], [6.0])

    Differences from Wolfram: there is no such thing. Source: the documentation of Flax.
    """

    def __init__(self, net: Net, *, rngs: Any = None) -> None:
        if not isinstance(net, Net):
            raise DeclarationError(f"FlaxModule takes a net. Got {excerpt(net)}.")
        if not net.initialized:
            raise UninitializedError(
                f"This {net.title()} has no values yet for {listing(map(path_text, net.missing), 6)}. "
                "NetInitialize(net) gives it random ones."
            )
        self._net = _Held(net)
        self.arrays = _nested(net.arrays, nnx.Param)
        self.states = _nested(net.state, nnx.BatchStat)
        self.rngs = rngs
        self.deterministic = True

    def __call__(self, inputs: Any, *, training: bool | None = None, key: Any = None) -> Any:
        training = not self.deterministic if training is None else training
        if (training or self._net.draws) and key is None and self.rngs is not None:
            key = self.rngs.dropout()
        held = self._net
        arrays = {path: _at(self.arrays, path)[...] for path in held.arrays}
        state = {path: _at(self.states, path)[...] for path in held.states}
        outputs, after = held.function(arrays, state, inputs, key, training)
        if training:
            for path, value in after.items():
                _at(self.states, path)[...] = value
        return outputs

    def to_net(self) -> Net:
        """The net with the arrays and state that the module has now."""
        held = self._net
        values = {path: jnp.asarray(_at(self.arrays, path)[...]) for path in held.arrays}
        return held.net.with_arrays(values | {path: jnp.asarray(_at(self.states, path)[...]) for path in held.states})


class _Held:
    """A net without values, as a static part of a module: equal where the compiled code is."""

    def __init__(self, net: Net) -> None:
        self.net = skeleton(net)
        self.arrays, self.states, self.draws = tuple(net.arrays), tuple(net.state), draws_always(net)
        self.function = net_function(self.net)
        self.key = (program_key(net), self.arrays, self.states)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"<{self.net.title()}>"


def _nested(values: Any, variable: Any) -> Any:
    """The values by path as variables in nested dicts, as Flax shows them."""
    outer: Any = nnx.Dict()
    for path, value in values.items():
        inner = outer
        for name in path[:-1]:
            if name not in vars(inner):
                inner[name] = nnx.Dict()
            inner = inner[name]
        # the module's values are its own: what trains it may give its buffers away
        inner[path[-1]] = variable(jnp.array(value))
    return outer


def _at(nested: Any, path: ArrayPath) -> Any:
    for name in path:
        nested = nested[name]
    return nested
