"""State ports of a whole net: what its recurrent layers carry along, given and read from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from netdsl.containers.graph import NetGraph
from netdsl.containers.ports import NetPort
from netdsl.errors import DeclarationError, PartError, excerpt, nearest
from netdsl.nets import Net
from netdsl.symbols import All

__all__ = ["ALL_STATES", "state_port", "states_given", "with_states"]

ALL_STATES = NetPort(All, "States")
"""Every state of a net, as a dict from their ports to their values."""


def state_port(path: tuple[str, ...]) -> NetPort:
    """The port that a user writes for a state: NetPort([2, "State"])."""
    return NetPort([int(part) if part.isdigit() else part for part in path])


def states_given(net: Net, data: Mapping[Any, Any]) -> dict[str, Any]:
    """The states that are among the data for a net, by name; NetPort(All, "States") stands for all that its dict has."""
    given: dict[str, Any] = {}
    for key, value in data.items():
        if not isinstance(key, NetPort):
            continue
        if key == ALL_STATES:
            if not isinstance(value, Mapping):
                raise DeclarationError(f"{ALL_STATES!r} is given a dict from states to values. Got {excerpt(value)}.")
            given |= {state_name(net, port): state for port, state in value.items()}
        else:
            given[state_name(net, key)] = value
    return given


def state_name(net: Net, port: Any) -> str:
    """The name of the state that a user's port means."""
    name = "/".join(map(str, port.path)) if isinstance(port, NetPort) else str(port)
    if name not in net.state_names:
        ports = [repr(state_port(path)) for path in net.recurrent_paths()]
        raise PartError(f"This {net.title()} has no state {excerpt(port)}. {nearest(repr(port), ports)}")
    return name


def with_states(net: Net, states: Iterable[str]) -> NetGraph:
    """The net as layer "net" of a graph of which these states are input ports too."""
    feeds = {("net", port): ("", port) for port in (*net.input_names, *states)}
    inputs = [port for _, port in feeds]
    outputs = {port: ("net", port) for port in net.output_names}
    return NetGraph.wired({"net": net.rebuilt(shared=type(net.shared)())}, feeds, inputs, outputs, SharedArrays=net.shared)
