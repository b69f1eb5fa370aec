"""NetStateObject: a net that keeps the states of its recurrent layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netdsl.containers.states import ALL_STATES, states_given
from netdsl.errors import DeclarationError, EncodingError, excerpt, public
from netdsl.nets import Net
from netdsl.symbols import Automatic

__all__ = ["NetStateObject"]


class NetStateObject:
    """A net that keeps the states of its recurrent layers from one evaluation to the next.

    ``NetStateObject(net)`` starts them at zero, ``NetStateObject(net, states)`` at those given: a dict from their ports
    (NetPort([2, "State"])) to their values, as ``net(x, NetPort(All, "States"))`` gives them.

    ``object(x)`` evaluates one example and keeps the states after it; ``NetExtract(object, "States")`` gives them.

    >>> total = NetStateObject(NetFoldOperator(ThreadingLayer(Plus, InputPorts=["Input", "State"], State=1), Input=["Varying", 1]))
    >>> total([[1.0], [2.0]]).tolist(), total([[3.0]]).tolist()
    ([[1.0], [3.0]], [[6.0]])

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    def __init__(self, net: Any, states: Any = None, /) -> None:
        if not isinstance(net, Net) or not net.state_names:
            raise DeclarationError(f"NetStateObject takes a net with recurrent layers, which have states. Got {excerpt(net)}.")
        if states is not None and not isinstance(states, Mapping):
            raise DeclarationError(f"The states of a NetStateObject are a dict from ports to values. Got {excerpt(states)}.")
        self.net = net
        self.states: dict[Any, Any] = dict(states or {})
        states_given(net, {ALL_STATES: self.states})

    @public
    def __call__(self, data: Any, property: Any = Automatic, /, **options: Any) -> Any:
        """The net's value on one example, from the states as they are now; those after it are kept."""
        given = data if isinstance(data, Mapping) else {self.net.input_names[0]: data}
        if not self.states:
            value, states = self.net(given, [property, ALL_STATES], **options)
        else:
            try:
                value, states = self.net({**given, ALL_STATES: self.states}, [property, ALL_STATES], **options)
            except EncodingError:
                self._check_one(self.net(given, ALL_STATES, **options))
                raise
        self._check_one(states)
        self.states = states
        return value

    def _check_one(self, states: Mapping[Any, Any]) -> None:
        """Refuse states of several examples."""
        for port, state in states.items():
            rank = self.net.solved.types[self.net.program.ports[tuple(map(str, port.path[:-1])), port.path[-1]]].rank
            if rank is not None and getattr(state, "ndim", 0) > rank:
                raise EncodingError("A NetStateObject takes one example at a time: its states belong to one sequence.")

    def __repr__(self) -> str:
        return f"NetStateObject({self.net!r})"
