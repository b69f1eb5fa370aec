"""Nets taken apart and put together again are the same nets."""

import jax
import numpy as np
import pytest
from specimens import SPECIMENS, initialized, inputs
from specimens.specimen import real

from netdsl import (
    All,
    NetAppend,
    NetChain,
    NetDelete,
    NetDrop,
    NetExtract,
    NetFlatten,
    NetGraph,
    NetInsert,
    NetJoin,
    NetPrepend,
    NetRename,
    NetReplacePart,
    NetTake,
    Ramp,
    Rule,
    Span,
)

HOLDING = [specimen for specimen in SPECIMENS if specimen.make().nets]
SINGLE = [specimen for specimen in SPECIMENS if len(specimen.make().input_names) == len(specimen.make().output_names) == 1]


def same(a, b):
    """Whether two nets have the same parts with the same arrays, sizes and coders."""
    assert list(a.nets) == list(b.nets)
    assert (a.input_names, a.output_names) == (b.input_names, b.output_names)
    for port in (*a.input_names, *a.output_names):
        ours, theirs = a.port_type(port), b.port_type(port)
        assert (ours.rank, ours.elements) == (theirs.rank, theirs.elements)
        assert [size for size in ours.sizes if isinstance(size, int)] == [size for size in theirs.sizes if isinstance(size, int)]
    ours, theirs = a.array_table(), b.array_table()
    assert ours.keys() == theirs.keys()
    for path, value in ours.items():
        np.testing.assert_array_equal(np.asarray(value), np.asarray(theirs[path]), err_msg=str(path))
    return True


def values(specimen, net, like):
    """The outputs of the net for the specimen's inputs, in test mode."""
    given = inputs(specimen, like, 2)
    return real(net.function()(net.arrays, net.state, given, key=jax.random.key(3))[0])


def takes_ramp(net):
    """Whether a Ramp can follow it in a chain: its output is no integer."""
    return net.port_type(net.output_names[0]).elements.kind == "real"


@pytest.mark.parametrize("specimen", [s for s in SINGLE if takes_ramp(s.make())], ids=str)
def test_a_chain_taken_apart_and_joined_is_the_same(specimen):
    net = initialized(specimen)
    chain = NetChain({"a": net, "b": Ramp, "c": Ramp})
    for cut in (1, 2):
        assert same(NetJoin(NetTake(chain, cut), NetDrop(chain, cut)), chain)
        assert same(NetJoin(chain[Span(1, cut)], chain[Span(cut + 1, -1)]), chain)
        assert same(NetJoin(NetDrop(chain, cut - 3), NetTake(chain, [cut + 1, -1])), chain)
        assert same(NetJoin(NetGraph(NetTake(chain, cut)), NetDrop(chain, cut)), chain)
    assert same(NetAppend(NetDrop(chain, -1), Rule("c", chain[-1])), chain)
    assert same(NetPrepend(NetDrop(chain, 1), Rule("a", chain["a"])), chain)
    assert same(NetInsert(NetDelete(chain, "b"), Rule("b", chain[2]), -2), chain)
    assert same(NetChain(NetExtract(chain, All)), chain)


@pytest.mark.parametrize("specimen", SINGLE, ids=str)
def test_what_is_put_in_comes_out(specimen):
    net = initialized(specimen)
    chain = NetChain({"a": net, "b": Ramp}) if takes_ramp(net) else NetChain({"a": net})
    for place in (1, "a", -len(chain)):
        assert same(NetExtract(NetReplacePart(chain, {place: net}), place), net)
        assert NetReplacePart(chain, {place: chain[place]})[place] == chain[place]
    for path, value in chain.array_table().items():
        if path[0] != "":
            again = NetReplacePart(chain, {path: np.asarray(value) + 1})
            np.testing.assert_array_equal(NetExtract(again, path), np.asarray(value) + 1)
            assert same(NetReplacePart(again, {path: value}), chain)


@pytest.mark.parametrize("specimen", HOLDING, ids=str)
def test_renaming_and_back_is_nothing(specimen):
    net = initialized(specimen)
    if not isinstance(net, (NetChain, NetGraph)):
        net = NetGraph({"only": net}, [])
    names = list(net.nets)
    there = NetRename(net, {name: f"new {name}" for name in names})
    assert list(there.nets) == [f"new {name}" for name in names]
    assert NetRename(there, lambda name: name.removeprefix("new ")) == net
    assert NetRename(there, {i + 1: name for i, name in enumerate(names)}) == net
    if isinstance(net, NetGraph):
        ports = (*net.input_names, *net.output_names)
        there = NetRename(net, {port: f"{port}!" for port in ports if port not in names})
        assert NetRename(there, {f"{port}!": port for port in ports if port not in names}) == net


@pytest.mark.parametrize("specimen", HOLDING, ids=str)
def test_flattening_keeps_the_function(specimen):
    net = initialized(specimen)
    for nested in (net, NetGraph({"outer": NetGraph({"inner": net}, [])}, [])):
        flat = NetFlatten(nested)
        for ours, theirs in zip(values(specimen, flat, net), values(specimen, net, net), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
        assert NetFlatten(flat) == flat


@pytest.mark.parametrize("specimen", [s for s in HOLDING if isinstance(s.make(), NetGraph)], ids=str)
def test_a_graph_of_its_parts_and_edges_is_the_same(specimen):
    net = initialized(specimen)
    assert same(NetGraph(NetExtract(net, All), net.edges_written()), net)
