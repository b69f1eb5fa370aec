"""Surgery on a chain of ten thousand layers takes seconds."""

import time

import pytest

from netdsl import (
    NetAppend,
    NetChain,
    NetDelete,
    NetExtract,
    NetFlatten,
    NetJoin,
    NetRename,
    NetReplace,
    NetReplacePart,
    NetTake,
    Ramp,
    Tanh,
)


@pytest.fixture(scope="module")
def big():
    return NetChain([Ramp, 4] * 5000, Input=4)


CUTS = {
    "NetExtract": lambda net: NetExtract(net, 9000),
    "iteration": list,
    "NetReplacePart": lambda net: NetReplacePart(net, {5001: Tanh}),
    "NetReplace": lambda net: NetReplace(net, {Ramp: Tanh}),
    "NetTake": lambda net: NetTake(net, 9000),
    "NetDelete": lambda net: NetDelete(net, 7),
    "NetAppend": lambda net: NetAppend(net, 3),
    "NetJoin": lambda net: NetJoin(net, NetChain([Ramp])),
    "NetRename": lambda net: NetRename(net, {3: "x"}),
    "NetFlatten": lambda net: NetFlatten(NetChain([net])),
}


@pytest.mark.parametrize("name", list(CUTS))
def test_seconds(big, name):
    start = time.perf_counter()
    CUTS[name](big)
    assert time.perf_counter() - start < 15
