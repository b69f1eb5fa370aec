"""NetInsertSharedArrays: arrays that copies of a net share."""

from __future__ import annotations

from typing import Any

from netdsl.constraints import FrozenDict
from netdsl.errors import DeclarationError, excerpt, public
from netdsl.nets import ArrayPath, Net, NetArray, path_text
from netdsl.surgery.rebuild import settled
from netdsl.symbols import Automatic

__all__ = ["NetInsertSharedArrays"]


@public
def NetInsertSharedArrays(net: Any, prefix: str = "", /) -> Any:
    """The net with each of its arrays as a NetArray, so that copies of it share their arrays in every net that holds them.

    ``NetInsertSharedArrays(net)``, ``NetInsertSharedArrays(net, prefix)``. The array "Weights" of layer 2 becomes
    NetArray("2/Weights") [M], with the prefix before. What is shared already keeps its name, and arrays without values stay without.

    Raises DeclarationError where another shared array of the net has such a name.

    >>> layer = NetInsertSharedArrays(LinearLayer(3), "tied/")
    >>> layer
    LinearLayer(3, Weights=NetArray('tied/Weights'), Biases=NetArray('tied/Biases'))
    >>> sorted(NetInitialize(NetChain([layer, Ramp, layer], Input=3)).arrays)
    [('', 'tied/Biases'), ('', 'tied/Weights')]

    Differences from Wolfram: the names of the arrays are remembered [M]. Source: Wolfram's public option tables.
    """
    if not isinstance(net, Net):
        raise DeclarationError(f"NetInsertSharedArrays takes a net. Got {excerpt(net)}.")
    if not isinstance(prefix, str):
        raise DeclarationError(f"The prefix of NetInsertSharedArrays is a string. Got {excerpt(prefix)}.")
    known = {path[-1] for path in net.array_table() if path[:-1] == ("",)}
    values: dict[str, Any] = {}
    made = _shared(net, prefix, (), known, values)
    return settled(made.rebuilt(shared=FrozenDict({**net.shared, **values})), "NetInsertSharedArrays", [()])


def _shared(net: Any, prefix: str, trail: ArrayPath, known: set[str], values: dict[str, Any]) -> Any:
    """The net with shared arrays, whose values are put into `values`."""
    entries: dict[str, Any] = {
        "nets": FrozenDict({name: _shared(part, prefix, (*trail, name), known, values) for name, part in net.nets.items()})
    }
    for array in net.array_declarations:
        value = net.__dict__[array]
        if value is None or isinstance(value, NetArray):
            continue
        name = prefix + path_text((*trail, array))
        if name in known:
            raise DeclarationError(
                f"NetInsertSharedArrays: this net has a shared array NetArray({name!r}) already. Give a prefix: "
                f"NetInsertSharedArrays(net, 'prefix/')."
            )
        entries[array] = NetArray(name)
        if value is not Automatic:
            values[name] = value
    return net.rebuilt(**entries)
