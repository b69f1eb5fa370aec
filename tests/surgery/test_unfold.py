"""NetUnfold: one step applied again and again gives what the net gives for the sequence."""

from __future__ import annotations

import numpy as np
import pytest

import netdsl
from netdsl import (
    AggregationLayer,
    AppendLayer,
    AttentionLayer,
    BasicRecurrentLayer,
    BatchNormalizationLayer,
    CatenateLayer,
    DeclarationError,
    DropoutLayer,
    ElementwiseLayer,
    EmbeddingLayer,
    FlattenLayer,
    FunctionLayer,
    GatedRecurrentLayer,
    LinearLayer,
    LongShortTermMemoryLayer,
    Max,
    NetArray,
    NetBidirectionalOperator,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetExtract,
    NetFlatten,
    NetFoldOperator,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetPort,
    NetRename,
    NetReplacePart,
    NetTrain,
    NetUnfold,
    NormalizationLayer,
    Plus,
    Ramp,
    Restricted,
    SequenceIndicesLayer,
    SequenceLastLayer,
    SequenceReverseLayer,
    SoftmaxLayer,
    Tanh,
    ThreadingLayer,
    Times,
)
from netdsl.shapes import Length

RNG = np.random.default_rng(0)
WORDS = ["Varying", "Integer"]


def draw(*sizes):
    return RNG.normal(size=sizes).astype(np.float32)


def cell():
    join = CatenateLayer(InputPorts=["Input", "State"])
    return NetGraph({"join": join, "out": NetChain([LinearLayer(2), Tanh])}, [("join", "out")], State=2)


def walked(step, elements, **constants):
    """The outputs of the steps over all elements, from zeros."""
    ports = [port for port in step.input_names if port.startswith("State")]
    states, made = {port: np.zeros([0 if isinstance(n, Length) else n for n in step.port_type(port).sizes]) for port in ports}, []
    for element in elements:
        outputs = step({"Input": element, **states, **constants})
        states = {port: outputs[f"Out{port}"] for port in ports}
        made.append(outputs["Output"])
    return np.array(made)


def close(a, b):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


VECTORS = [
    ("basic", 1, lambda: BasicRecurrentLayer(2, Input=["Varying", 3])),
    ("gated", 1, lambda: GatedRecurrentLayer(2, Input=["Varying", 3])),
    ("lstm", 2, lambda: LongShortTermMemoryLayer(2, Input=["Varying", 3])),
    ("of fixed length", 2, lambda: LongShortTermMemoryLayer(2, Input=[5, 3])),
    ("fold", 1, lambda: NetFoldOperator(cell(), Input=["Varying", 3])),
    ("nested", 4, lambda: NetChain([[GatedRecurrentLayer(2), [BasicRecurrentLayer(3)]], NetFoldOperator(cell()),
                                    {"last": BasicRecurrentLayer(2)}], Input=["Varying", 3])),
    ("beside each other", 2, lambda: NetGraph(
        {"a": BasicRecurrentLayer(2), "b": [GatedRecurrentLayer(2), Tanh], "sum": Plus, "join": CatenateLayer(2)},
        [(NetPort("Input"), "a"), (["a", "b"], "sum"), (["sum", "a"], "join"), (NetPort("Input"), "b")],
        Input=["Varying", 3])),
    ("taken element by element", 1, lambda: NetChain(
        [BasicRecurrentLayer(4), SoftmaxLayer(2), NormalizationLayer(2, "Same"), BatchNormalizationLayer(Interleaving=True),
         FunctionLayer(lambda x: x[:, :2] * x[:, 2:], Varying="elementwise"), DropoutLayer(),
         ThreadingLayer(lambda a: a + 1, 1, InputPorts=1), NetMapOperator({"up": 3}), AggregationLayer(Max)],
        Input=["Varying", 3])),
    ("flattened", 1, lambda: NetChain([BasicRecurrentLayer(4), NetMapOperator(NetMapOperator([2]), Output=["Varying", 4, 2]),
                                       FlattenLayer(-1)], Input=["Varying", 3])),
]  # fmt: skip


def attention(heads, *settings, Window=None, **options):
    each = NetMapOperator(LinearLayer([2, 3] if heads else 3))
    layer = AttentionLayer(*settings, Mask=["Causal", Window] if Window else "Causal", MultiHead=heads, **options)
    feeds = [(name, NetPort("attention", name)) for name in ("Key", "Value", "Query")]
    nets = {"Key": each, "Value": each, "Query": each, "attention": layer, "out": NetMapOperator(LinearLayer(2))}
    return NetGraph(nets, [(NetPort("Input"), ["Key", "Value", "Query"]), *feeds, ("attention", "out")], Input=["Varying", 3])


VECTORS += [
    ("attention", 2, lambda: attention(False)),
    ("attention of heads", 2, lambda: attention(True, "Dot", ScoreRescaling="DimensionSqrt")),
    ("attention with a window", 3, lambda: attention(False, Window=2)),
    ("attention twice", 4, lambda: NetChain([attention(False), NetMapOperator(3), attention(False, "Dot")])),
    ("attention and recurrence", 3, lambda: NetChain([GatedRecurrentLayer(3), attention(False)], Input=["Varying", 3])),
]


@pytest.mark.parametrize(("states", "make"), [row[1:] for row in VECTORS], ids=[row[0] for row in VECTORS])
def test_steps_give_what_the_sequence_gives(states, make):
    net = NetInitialize(make())
    step = NetUnfold(net)
    assert step.input_names == ("Input", *(f"State{i + 1}" for i in range(states)))
    assert step.output_names == ("Output", *(f"OutState{i + 1}" for i in range(states)))
    x = draw(5, 3)
    close(walked(step, x), net(x))
    assert not NetUnfold(make()).initialized


def test_places():
    """A small transformer: each place has its own vector."""
    places = NetChain([SequenceIndicesLayer(Maximum=3), EmbeddingLayer(3, 3)])
    nets = {"words": EmbeddingLayer(3, 4), "places": places, "sum": Plus, "attention": attention(False)}
    wires = [(NetPort("Input"), ["words", "places"], "sum", "attention")]
    net = NetInitialize(NetGraph(nets, wires, Input=["Varying", Restricted("Integer", 4)]))
    step = NetUnfold(net)
    assert [name for name in step.input_names if name.startswith("State")] == ["State1", "State2", "State3"]
    close(walked(step, [1, 4, 2, 2, 3]), net([1, 4, 2, 2, 3]))


def test_the_past_may_be_without_an_element_where_one_is_added():
    layer = AppendLayer(Input=["Varying", 2])
    assert layer({"Input": np.zeros((0, 2)), "Element": [1, 2]}).tolist() == [[1, 2]]
    several = layer({"Input": [np.zeros((0, 2)), np.ones((2, 2))], "Element": [[1, 2], [3, 4]]})
    assert [one.tolist() for one in several] == [[[1, 2]], [[1, 1], [1, 1], [3, 4]]]
    for net in (NetChain([Ramp], Input=["Varying", 2]), AttentionLayer("Dot", Key=["Varying", 2], Value=["Varying", 2], Query=2)):
        with pytest.raises(netdsl.EncodingError, match="empty sequences are not taken"):
            net(dict.fromkeys(net.input_names, np.zeros((0, 2))))


def test_words():
    for rest in ([NetMapOperator([3, SoftmaxLayer()])], [SequenceLastLayer(), 3, SoftmaxLayer()]):
        net = NetInitialize(NetChain([EmbeddingLayer(3, 4), LongShortTermMemoryLayer(2), *rest], Input=WORDS))
        step = NetUnfold(net)
        made = walked(step, [1, 4, 2])
        close(made if len(rest) == 1 else made[-1], net([1, 4, 2]))
        assert list(step.nets) == [str(i + 1) for i in range(len(step.nets))]
        assert sorted(map(np.size, step.arrays.values())) == sorted(map(np.size, net.arrays.values()))


def test_pytorch_steps_the_same():
    torch = pytest.importorskip("torch")
    layer = NetInitialize(LongShortTermMemoryLayer(4, Input=["Varying", 3]), RandomSeeding=2)
    other = torch.nn.LSTMCell(3, 4)
    with torch.no_grad():
        for parameter, end in ((other.weight_ih, "InputWeights"), (other.weight_hh, "StateWeights"), (other.bias_ih, "Biases")):
            gates = [np.asarray(NetExtract(layer, f"{gate}Gate{end}")) for gate in ("Input", "Forget", "Memory", "Output")]
            parameter.copy_(torch.tensor(np.concatenate(gates)))
        other.bias_hh.zero_()
        x, h, c = draw(3), draw(4), draw(4)
        given, *before = (torch.tensor(value)[None] for value in (x, h, c))
        after = other(given, tuple(before))
    made = NetUnfold(layer)({"Input": x, "State1": h, "State2": c})
    for port, expected in (("Output", after[0]), ("OutState1", after[0]), ("OutState2", after[1])):
        close(made[port], expected[0].numpy())


def test_constants_and_outputs_of_a_fold():
    net = NetGraph(
        {
            "scaled": ThreadingLayer(Times, InputPorts=["State", "by"]),
            "sum": ThreadingLayer(Plus, InputPorts=["Input", "scaled"]),
        },
        [("scaled", NetPort("sum", "scaled")), ("scaled", NetPort("Scaled")), ("sum", NetPort("Output"))],
        State=1,
    )
    fold = NetFoldOperator(net, {"Output": "State"}, ["by"], ["Scaled"], Input=["Varying", 1], by=1)
    step = NetUnfold(fold)
    assert set(step.input_names) == {"Input", "by", "State1"}
    assert step.output_names == ("Scaled", "OutState1")
    made = step({"Input": [3], "by": [0.5], "State1": [8]})
    assert made["Scaled"].tolist() == [4.0]
    assert made["OutState1"].tolist() == [7.0]


def test_a_fold_of_what_was_unfolded_is_the_net_again():
    net = NetInitialize(NetChain([NetMapOperator(4), GatedRecurrentLayer(2), Tanh], Input=["Varying", 3]))
    again = NetFoldOperator(NetUnfold(net), {"OutState1": "State1"}, [], ["Output"], Input=["Varying", 3])
    x = [draw(4, 3), draw(2, 3)]
    for a, b in zip(again(x), net(x), strict=True):
        close(a, b)


def test_what_has_no_states_stays_as_it_is():
    """A sequence that no recurrent layer reads, and what is made of it."""
    net = NetInitialize(
        NetGraph(
            {"read": BasicRecurrentLayer(2), "turned": SequenceReverseLayer(), "whole": LinearLayer(3)},
            [(NetPort("Input"), "read", NetPort("Output")), (NetPort("Table"), "turned", "whole", NetPort("Whole"))],
            Input=["Varying", 3],
            Table=[2, 2],
        )
    )
    step = NetUnfold(net)
    table = draw(2, 2)
    x = draw(2, 3)
    close(walked(step, x, Table=table), net({"Input": x, "Table": table})["Output"])
    close(step({"Input": x[0], "Table": table, "State1": [0, 0]})["Whole"], net({"Input": x, "Table": table})["Whole"])


def test_it_is_a_net_like_any_other():
    net = NetChain({"word": EmbeddingLayer(3, 4), "read": LongShortTermMemoryLayer(2), "out": NetMapOperator(5)}, Input=WORDS)
    step = NetUnfold(net)
    assert eval(repr(step), vars(netdsl).copy()) == step
    assert list(step.nets) == ["word", "read", "out"]
    assert "LongShortTermMemory" in str(step)
    step = NetInitialize(step)
    assert NetExtract(step, ["read", "layer", "InputGateInputWeights"]).shape == (2, 3)
    given = {"Input": 2, "State1": draw(2), "State2": draw(2)}
    for made in (NetFlatten(step), NetRename(step, {"read": "r"}), NetReplacePart(step, {"word": NetExtract(step, "word")})):
        close(made(given)["Output"], step(given)["Output"])
    data = {"Input": [1, 2], "State1": draw(2, 2), "State2": draw(2, 2), "Output": draw(2, 5)}
    graph = NetGraph({"step": step}, [(NetPort("step", "OutState1"), None), (NetPort("step", "OutState2"), None)])
    trained = NetTrain(graph, data, MaxTrainingRounds=2)
    assert not np.array_equal(NetExtract(trained, ["step", "word", "Weights"]), NetExtract(step, ["word", "Weights"]))


def test_coders_of_sequences():
    letters = NetEncoder("Class", ["a", "b"], Dimensions=["Varying"])
    net = NetInitialize(
        NetChain(
            [EmbeddingLayer(2), BasicRecurrentLayer(2), SoftmaxLayer()],
            Input=letters,
            Output=NetDecoder("Class", ["x", "y"], InputDepth=2),
        )
    )
    step = NetUnfold(net)
    assert list(walked(step, "abba")) == net(list("abba"))
    whole = NetEncoder("Function", lambda text: [ord(c) for c in text], ["Varying", netdsl.Restricted("Integer", 200)])
    step = NetUnfold(NetChain([EmbeddingLayer(2, 200), BasicRecurrentLayer(2)], Input=whole))
    assert step.encoder("Input") is None
    assert step.port_type("Input").sizes == ()
    assert step.port_type("Input").integer


def test_shared_arrays_and_multipliers_come_along():
    layer = LinearLayer(2, Weights=NetArray("w"))
    net = NetChain(
        {"a": NetMapOperator(layer, LearningRateMultipliers=0), "r": BasicRecurrentLayer(2), "b": NetMapOperator([layer])},
        Input=["Varying", 2],
        LearningRateMultipliers={("r", "Biases"): 3, ("b", "Net", 1, "Biases"): 2},
    )
    net = NetInitialize(net)
    step = NetUnfold(net)
    assert step.shared["w"] is net.shared["w"]
    found = netdsl.Information(step, "ArraysLearningRateMultipliers")
    assert found["r", "layer", "Biases"] == 3
    assert found["a", "Biases"] == 0
    assert found["b", "1", "Biases"] == 2
    x = draw(3, 2)
    close(walked(step, x), net(x))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LinearLayer(3), "recurrent layers, causal attention or a NetFoldOperator"),
        (lambda: 3, "takes a net. Got 3"),
        (lambda: NetMapOperator(BasicRecurrentLayer(2)), "recurrent layers, causal attention or a NetFoldOperator"),
        (
            lambda: NetChain([BasicRecurrentLayer(2), SequenceReverseLayer()]),
            "element 2.*, SequenceReverseLayer, needs its whole",
        ),
        (lambda: NetChain([BasicRecurrentLayer(2), SoftmaxLayer(1)], Input=["Varying", 3]), "SoftmaxLayer, needs its whole"),
        (
            lambda: NetGraph(
                {"r": BasicRecurrentLayer(3), "all": AttentionLayer("Dot")},
                [("r", NetPort("all", name)) for name in ("Key", "Value", "Query")],
            ),
            "'all', AttentionLayer, needs its whole",
        ),
        (lambda: NetChain([BasicRecurrentLayer(2), 4], Input=[5, 3]), "LinearLayer, needs its whole"),
        (lambda: NetChain([BasicRecurrentLayer(2), FlattenLayer()], Input=[5, 3]), "FlattenLayer, does not treat the elements"),
        (lambda: NetChain([BasicRecurrentLayer(2), NetBidirectionalOperator(BasicRecurrentLayer(2))]), "needs its whole"),
        (
            lambda: NetGraph({"r": BasicRecurrentLayer(2), "more": AppendLayer()}, [("r", NetPort("more", "Input"))]),
            "'more', AppendLayer, needs its whole",
        ),
        (
            lambda: NetGraph(
                {"a": BasicRecurrentLayer(2), "b": BasicRecurrentLayer(2)}, [(NetPort("a", "State"), NetPort("b", "State"))]
            ),
            "the state 'State' of layer 'b', BasicRecurrentLayer, is fed by a wire from 'a'",
        ),
    ],
)
def test_what_cannot_be_unfolded(make, words):
    with pytest.raises(DeclarationError, match=words):
        NetUnfold(make())


def test_a_state_that_is_read_is_that_after_the_step():
    net = NetGraph(
        {"a": BasicRecurrentLayer(2), "f": ElementwiseLayer(Ramp)}, [(NetPort("a", "State"), "f")], Input=["Varying", 3]
    )
    net = NetInitialize(net)
    x, step = draw(3), NetUnfold(net)
    made = step({"Input": x, "State1": draw(2)})
    outputs = [port for port in step.output_names if port != "OutState1"]
    close(made[next(p for p in outputs if (made[p] >= 0).all())], np.maximum(made["OutState1"], 0))
