"""AttentionLayer and SequenceAttentionLayer against their definition, key by key, and PyTorch's."""

from __future__ import annotations

import re
from itertools import product

import numpy as np
import pytest
from specimens.attention import scoring

from netdsl import (
    AttentionLayer,
    Automatic,
    CrossEntropyLossLayer,
    DeclarationError,
    ElementwiseLayer,
    FunctionLayer,
    LinearLayer,
    LogisticSigmoid,
    NetArray,
    NetExtract,
    NetGraph,
    NetInitialize,
    NetPort,
    NetReplacePart,
    Rule,
    SequenceAttentionLayer,
    ShapeError,
)
from netdsl.nets import Sequence

RNG = np.random.default_rng(0)


def close(a, b):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def attended(key, value, query, score, heads=False, seen=lambda j, i: True, divisor=1.0):
    """The output by its definition: a loop over queries, heads, and keys."""
    ends = 2 if heads else 1
    out = np.zeros((*query.shape[:-1], value.shape[-1]))
    for j in product(*map(range, query.shape[:-ends])):
        for head in product(*map(range, query.shape[-ends:-1])):
            places = [i for i in product(*map(range, key.shape[:-ends])) if seen(j, i)]
            scores = np.array([score(key[i + head], query[j + head]) for i in places]) / divisor
            weights = np.exp(scores - scores.max())
            weights /= weights.sum()
            out[j + head] = sum(weight * value[i + head] for weight, i in zip(weights, places))
    return out


def dot(k, q):
    return k @ q


WEIGHTS = RNG.normal(size=(3, 2))

SIZES = [
    ([4, 3], [4, 5], [2], False),
    ([4, 3], [4, 5], [6, 2], False),
    ([2, 3, 3], [2, 3, 1], [2, 2, 2], False),
    ([4, 2, 3], [4, 2, 5], [6, 2, 2], True),
    ([2, 3, 2, 3], [2, 3, 2, 5], [2, 2], True),
]


@pytest.mark.parametrize(("key", "value", "query", "heads"), SIZES, ids=str)
@pytest.mark.parametrize("rescaled", [False, True])
def test_bilinear(key, value, query, heads, rescaled):
    k, v, q = (RNG.normal(size=size) for size in (key, value, query))
    layer = AttentionLayer(
        MultiHead=heads, ScoreRescaling="DimensionSqrt" if rescaled else None, Weights=WEIGHTS, Key=key, Value=value, Query=query
    )
    expected = attended(k, v, q, lambda k, q: k @ WEIGHTS @ q, heads, divisor=np.sqrt(3) if rescaled else 1)
    close(layer({"Key": k, "Value": v, "Query": q}), expected)


@pytest.mark.parametrize(("key", "value", "query", "heads"), SIZES, ids=str)
def test_dot(key, value, query, heads):
    query = [*query[:-1], 3]
    k, v, q = (RNG.normal(size=size) for size in (key, value, query))
    layer = AttentionLayer("Dot", MultiHead=heads, Key=key, Value=value)
    close(layer({"Key": k, "Value": v, "Query": q}), attended(k, v, q, dot, heads))


@pytest.mark.parametrize(("key", "value", "query", "heads"), SIZES, ids=str)
def test_a_net(key, value, query, heads):
    k, v, q = (RNG.normal(size=size) for size in (key, value, query))
    layer = NetInitialize(AttentionLayer(scoring(), MultiHead=heads, Key=key, Value=value, Query=query))
    net = NetExtract(layer, "Net")
    close(
        layer({"Key": k, "Value": v, "Query": q}),
        attended(k, v, q, lambda k, q: float(net({"Input": k, "Query": q})), heads),
    )


SEEN = {"Causal": lambda j, i: i[0] <= j[0], 1: lambda j, i: i[0] == j[0], 3: lambda j, i: j[0] - 3 < i[0] <= j[0]}


@pytest.mark.parametrize("mask", SEEN, ids=str)
@pytest.mark.parametrize("heads", [False, True])
def test_masks(mask, heads):
    between = [2] if heads else []
    k, v, q = (RNG.normal(size=[6, *between, size]) for size in (3, 4, 3))
    expected = attended(k, v, q, dot, heads, SEEN[mask])
    setting = mask if mask == "Causal" else ["Causal", mask]
    given = {"Key": k, "Value": v, "Query": q}
    close(AttentionLayer("Dot", Mask=setting, MultiHead=heads)(given), expected)
    varying = {port: ["Varying", *value.shape[1:]] for port, value in given.items()}
    layer = AttentionLayer("Dot", Mask=setting, MultiHead=heads, **varying)
    for made, length in zip(layer({port: [x, x[:2]] for port, x in given.items()}), (6, 2)):
        close(made, expected[:length])


def test_padding_repeats_the_last_output():
    """Queries that are padding lie beyond every window, and still see what the last real one does."""
    layer = AttentionLayer("Dot", Mask=["Causal", 2], Key=["Varying", 3], Value=["Varying", 3], Query=["Varying", 3])
    data = RNG.normal(size=(1, 2, 3)).astype(np.float32)
    padded = Sequence(np.concatenate([data, np.repeat(data[:, -1:], 5, axis=1)], axis=1), np.array([2]))
    made, _ = layer.function()({}, {}, dict.fromkeys(("Key", "Value", "Query"), padded))
    close(made.data[0, 2:], np.repeat(made.data[0, 1:2], 5, axis=0))


def test_forms_of_masks():
    assert AttentionLayer(Mask=Rule("Causal", 2)) == AttentionLayer(Mask={"Causal": 2}) == AttentionLayer(Mask=["Causal", 2])
    assert repr(AttentionLayer("Dot", Mask={"Causal": 2})) == "AttentionLayer('Dot', Mask=['Causal', 2])"


def test_keys_and_queries_of_different_lengths():
    ks, vs, qs = (
        [RNG.normal(size=[n, *sizes]) for n in counts]
        for counts, sizes in (((5, 1, 3), (2, 3)), ((5, 1, 3), (2, 4)), ((1, 4, 2), (2,)))
    )
    layer = AttentionLayer(Weights=WEIGHTS, Key=["Varying", 2, 3], Value=["Varying", 2, 4], Query=["Varying", 2])
    for made, k, v, q in zip(layer({"Key": ks, "Value": vs, "Query": qs}), ks, vs, qs):
        close(made, attended(k, v, q, lambda k, q: k @ WEIGHTS @ q))


@pytest.mark.parametrize("causal", [False, True])
def test_pytorch_gives_the_same(causal):
    torch = pytest.importorskip("torch")
    k, v, q = (RNG.normal(size=(5, 2, 3)).astype(np.float32) for _ in range(3))
    given = [torch.tensor(np.moveaxis(x, 1, 0)) for x in (q, k, v)]
    expected = torch.nn.functional.scaled_dot_product_attention(*given, is_causal=causal)
    layer = AttentionLayer("Dot", MultiHead=True, ScoreRescaling="DimensionSqrt", Mask="Causal" if causal else None)
    close(layer({"Key": k, "Value": v, "Query": q}), np.moveaxis(expected.numpy(), 0, 1))


def test_dropout_drops_weights():
    """With one key and value for each column, the output shows the weights."""
    layer = AttentionLayer("Dot", Dropout=0.25, Key=[100, 1], Value=[100, 100], Query=[100, 1])
    given = {"Key": np.zeros((100, 1)), "Value": 100 * np.eye(100), "Query": np.zeros((100, 1))}
    close(layer(given), np.ones((100, 100)))
    made = layer(given, NetEvaluationMode="Train", RandomSeeding=1)
    kept = made != 0
    np.testing.assert_allclose(made[kept], 1 / 0.75, rtol=1e-5)
    assert abs(kept.mean() - 0.75) < 0.02
    assert not (kept[0] == kept[1]).all()
    assert not (kept == layer(given, NetEvaluationMode="Train", RandomSeeding=2).astype(bool)).all()


def test_no_key_is_needed_without_dropout():
    layer = NetInitialize(AttentionLayer(Key=[3, 2], Value=[3, 2], Query=[2, 2]))
    given = {
        "Key": np.ones((1, 3, 2), np.float32),
        "Value": np.ones((1, 3, 2), np.float32),
        "Query": np.ones((1, 2, 2), np.float32),
    }
    made, _ = layer.function()(layer.arrays, layer.state, given, None, True)
    close(made, np.ones((1, 2, 2)))


def test_sequence_attention():
    x, q = RNG.normal(size=(4, 3)), RNG.normal(size=(5, 2))
    close(SequenceAttentionLayer(Weights=WEIGHTS)({"Input": x, "Query": q}), attended(x, x, q, lambda k, q: k @ WEIGHTS @ q))


# As an operator


def test_shared_arrays_of_a_scoring_net():
    net = NetGraph(
        {
            "key": LinearLayer(2, Weights=NetArray("w")),
            "query": LinearLayer(2, Weights=NetArray("w")),
            "f": FunctionLayer(lambda a, b: a @ b),
        },
        [(NetPort("Input"), "key", NetPort("f", "a")), (NetPort("Query"), "query", NetPort("f", "b"))],
    )
    layer = NetInitialize(AttentionLayer(net, Key=[4, 3], Value=[4, 2], Query=3))
    assert layer.arrays["", "w"].shape == (2, 3)
    assert set(layer.arrays) == {("", "w"), ("Net", "key", "Biases"), ("Net", "query", "Biases")}


def test_surgery_reaches_the_scoring_net():
    layer = AttentionLayer(scoring(), Key=[4, 3], Value=[4, 2], Query=2)
    assert NetExtract(layer, ["Net", "net", 1, "Weights"]) is not None
    assert NetExtract(layer, "Net").port_type("Query").sizes == (2,)
    other = NetReplacePart(layer, {"Mask": None, "ScoreRescaling": "DimensionSqrt"})
    assert other.ScoreRescaling == "DimensionSqrt"
    assert other.nets == layer.nets
    with pytest.raises(ShapeError, match="needs a scoring net with the inputs Input and Query and one output"):
        NetReplacePart(layer, {"Net": FunctionLayer(lambda a, b: a @ b)})


def test_the_matrix_lies_in_the_scoring_net():
    layer = AttentionLayer(Weights=WEIGHTS, Key=[4, 3], Value=[4, 2], Query=2)
    close(NetExtract(layer, ["Net", "Weights"]), WEIGHTS)
    assert list(layer.arrays) == [("Net", "Weights")]
    assert repr(AttentionLayer()) == "AttentionLayer()"
    assert "Weights=float32[3, 2]" in repr(layer)
    dot = NetReplacePart(NetReplacePart(layer, {"Query": 3, ("Net", "Weights"): Automatic}), {"Scoring": "Dot"})
    assert (dot.Scoring, dict(dot.nets), dot.array_table()) == ("Dot", {}, {})
    assert NetReplacePart(dot, {"Scoring": "Bilinear"}).array_table() == {("Net", "Weights"): Automatic}
    by_net = NetReplacePart(layer, {"Scoring": scoring()})
    assert by_net == NetReplacePart(layer, {"Net": scoring()})
    assert by_net == AttentionLayer(scoring(), Key=[4, 3], Value=[4, 2], Query=2)
    assert by_net.changed(Mask=None).nets == by_net.nets
    assert NetReplacePart(layer, {"ScoreRescaling": "DimensionSqrt"}).arrays.keys() == layer.arrays.keys()
    shared = AttentionLayer(Weights=NetArray("w", Array=WEIGHTS), Key=[4, 3])
    assert list(shared.arrays) == [("", "w")]


def test_a_loss_does_not_take_the_scores_for_logits():
    """A scoring net may end in LogisticSigmoid: a loss after the attention still takes its output."""
    net = NetGraph({"f": FunctionLayer(lambda Input, Query: Input @ Query), "g": ElementwiseLayer(LogisticSigmoid)}, [("f", "g")])
    k, v, q = np.ones((3, 2)), np.full((3, 1), 0.25), np.ones((1, 2))
    graph = NetGraph(
        {"attention": AttentionLayer(net), "loss": CrossEntropyLossLayer("Binary")},
        [("attention", NetPort("loss", "Input"))],
        Key=[3, 2],
        Value=[3, 1],
        Query=[1, 2],
        Target=[1, 1],
    )
    assert graph({"Key": k, "Value": v, "Query": q, "Target": [[1]]}) == pytest.approx(-np.log(0.25), rel=1e-5)


def test_sizes_flow_both_ways():
    layer = AttentionLayer("Dot", MultiHead=True, Key=["Varying", 2, 3], Output=["Varying", 2, 5])
    assert layer.port_type("Value").varying is True
    open_rank = AttentionLayer("Dot", Mask="Causal", Key=[6, 3], Output=[6, 5])
    assert open_rank.port_type("Value").sizes == (6, 5)
    assert open_rank.port_type("Query").sizes == (6, 3)
    weighed = AttentionLayer(Weights=WEIGHTS, Mask="Causal", Value=["Varying", 4])
    assert weighed.port_type("Key").sizes[1:] == (3,)
    assert weighed.port_type("Query").sizes[1:] == (2,)
    assert AttentionLayer(Key=[4, 7], Query=5).solved.arrays["Net", "Weights"].sizes == (7, 5)


CLASHES = [
    (lambda: AttentionLayer("Dot", Key=[4, 3], Query=2), "needs equal sizes where 3 and 2 meet"),
    (lambda: AttentionLayer(Key=[4, 3], Value=[5, 3]), "needs equal sizes where 4 and 5 meet"),
    (lambda: AttentionLayer(Mask="Causal", Key=[4, 3], Query=[5, 3]), "needs equal sizes where 4 and 5 meet"),
    (lambda: AttentionLayer(Key=3), "takes an array of rank 2 or more"),
    (lambda: AttentionLayer(MultiHead=True, Key=[4, 3]), "takes an array of rank 3 or more"),
    (lambda: AttentionLayer(MultiHead=True, Key=[4, 2, 3], Query=[3, 3]), "needs equal sizes where 2 and 3 meet"),
    (lambda: AttentionLayer(Query="Varying"), "takes vectors of fixed size at its last level"),
    (lambda: AttentionLayer(Weights=np.ones(3)), "the layer  needs  a matrix\nGive a matrix, or leave Weights out"),
    (lambda: AttentionLayer(Weights=np.ones((3, 2)), Query=4), "takes  a vector of size 2  (from its Weights, float32[3, 2])"),
    (
        lambda: AttentionLayer(NetGraph({"f": FunctionLayer(lambda Input, Query: Input)}, []), Key=[4, 3], Query=2),
        "cannot score a key and a query by its net",
    ),
]


@pytest.mark.parametrize(("make", "fact"), CLASHES, ids=[fact for _, fact in CLASHES])
def test_clashes(make, fact):
    with pytest.raises(ShapeError, match=re.escape(fact)):
        make()


def test_refusals():
    with pytest.raises(DeclarationError, match='AttentionLayer has Weights only where it scores by "Bilinear"'):
        AttentionLayer("Dot", Weights=WEIGHTS)
    with pytest.raises(DeclarationError, match="a net with the inputs Input and Query and one output"):
        AttentionLayer(LinearLayer(2))
    with pytest.raises(DeclarationError, match="a net with the inputs Input and Query and one output"):
        SequenceAttentionLayer("Net")
