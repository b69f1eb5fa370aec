"""What Information says of a net agrees with the net and with itself."""

import math

import numpy as np
import pytest
from specimens import SPECIMENS, initialized

from netdsl import Information, Quantity
from netdsl.decoders.decoder import Decoder
from netdsl.encoders.encoder import Encoder
from netdsl.symbols import Automatic

PROPERTIES = Information(SPECIMENS[0].make(), "Properties")


@pytest.fixture(params=SPECIMENS, ids=str)
def specimen(request):
    return request.param


@pytest.mark.parametrize("filled", [False, True], ids=["bare", "initialized"])
def test_all_properties_agree(specimen, filled):
    net = initialized(specimen) if filled else specimen.make()
    told = dict(zip(PROPERTIES, Information(net, PROPERTIES)))
    positions = told["ArraysPositionList"]
    assert told["Properties"] == PROPERTIES
    for name in ("Arrays", "ArraysDimensions", "ArraysElementCounts", "ArraysByteCounts", "ArraysSizes"):
        assert list(told[name]) == positions
    assert told["ArraysCount"] == len(positions) == len(told["ArraysList"])
    assert all(a is b for a, b in zip(told["ArraysList"], told["Arrays"].values()))
    for path, value in told["Arrays"].items():
        sizes, count = told["ArraysDimensions"][path], told["ArraysElementCounts"][path]
        assert Automatic not in sizes
        assert count == math.prod(sizes)
        assert told["ArraysByteCounts"][path] == 4 * count
        assert isinstance(told["ArraysSizes"][path], Quantity)
        if filled:
            assert np.asarray(value).shape == tuple(sizes)
            assert np.asarray(value).nbytes == told["ArraysByteCounts"][path]
        else:
            assert value is Automatic
    assert told["ArraysTotalElementCount"] == sum(told["ArraysElementCounts"].values())
    assert told["ArraysTotalByteCount"] == sum(told["ArraysByteCounts"].values())
    unit = {"Bytes": 1, "Kilobytes": 1e3, "Megabytes": 1e6}[told["ArraysTotalSize"].unit]
    assert told["ArraysTotalSize"].magnitude * unit == pytest.approx(told["ArraysTotalByteCount"])
    assert set(told["ArraysLearningRateMultipliers"]) == set(positions) - net.state_paths()
    assert told["SharedArraysCount"] == sum(path[0] == "" for path in positions)
    assert told["LayersCount"] == len(told["Layers"]) == len(told["LayersList"]) == sum(told["LayerTypeCounts"].values())
    for path, layer in told["Layers"].items():
        assert layer == (net[path] if path else net)
    for side, names, kind in (("Input", net.input_names, Encoder), ("Output", net.output_names, Decoder)):
        assert told[f"{side}PortNames"] == list(told[f"{side}Ports"]) == list(names)
        coder = net.encoder if kind is Encoder else net.decoder
        assert all(told[f"{side}Ports"][port] == net[port] for port in names if coder(port) is None)
    assert told["RecurrentStatesCount"] == len(told["RecurrentStatesPositionList"])
    layers = set(told["Layers"])
    assert all(rule.key in layers and rule.value in layers for rule in told["LayersGraph"])
    assert told["TopologyHash"] == Information(specimen.make(), "TopologyHash")
    assert told["InputForm"] == repr(net)
    for name in ("SummaryGraphic", "FullSummaryGraphic"):
        assert told[name].svg.startswith("<svg")
