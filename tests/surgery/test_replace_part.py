"""NetReplacePart: arrays, ports, layers, coders; what is kept, what is dropped, what is refused."""

import re
import warnings

import numpy as np
import pytest

from netdsl import (
    All,
    Automatic,
    DeclarationError,
    LinearLayer,
    NetArray,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetExtract,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetReplacePart,
    NetWarning,
    PartError,
    Ramp,
    Rule,
    ShapeError,
    SoftmaxLayer,
    Tanh,
)


@pytest.fixture(autouse=True)
def no_unexpected_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", NetWarning)
        yield


def test_a_layer_of_another_size_drops_what_follows(chain, bits):
    before = bits(chain)
    with pytest.warns(
        NetWarning,
        match=re.escape(
            "NetReplacePart dropped an array that no longer fits: 3/Weights (was 2x6, now 2x9). NetInitialize(net) gives new "
            "values."
        ),
    ):
        net = NetReplacePart(chain, {1: 9})
    assert net.missing == [("1", "Weights"), ("1", "Biases"), ("3", "Weights")]
    assert net.arrays["3", "Biases"] is chain.arrays["3", "Biases"]
    assert bits(chain) == before
    assert NetInitialize(net)([1.0, 2.0, 3.0, 4.0]).shape == (2,)


def test_the_warning_names_the_users_line(chain):
    with pytest.warns(NetWarning) as caught:
        NetReplacePart(chain, {1: 9})
    assert caught[0].filename == __file__


def test_a_layer_of_the_same_size_keeps_everything_else(chain):
    net = NetReplacePart(chain, {2: Tanh})
    assert net.initialized
    assert all(net.arrays[path] is value for path, value in chain.arrays.items())
    assert repr(net[2]) == "ElementwiseLayer(Tanh, Input=6, Output=6)"


def test_another_input_size_drops_what_no_longer_fits(chain):
    with pytest.warns(NetWarning, match=re.escape("1/Weights (was 6x4, now 6x7)")):
        net = NetReplacePart(chain, {"Input": 7})
    assert net.missing == [("1", "Weights")]
    assert net.port_type("Input").sizes == (7,)


def test_arrays(chain):
    values = np.arange(24).reshape(6, 4)
    net = NetReplacePart(chain, {(1, "Weights"): values, (3, "Biases"): None})
    np.testing.assert_array_equal(net[1, "Weights"], values.astype(np.float32))
    assert net[3, "Biases"] is None
    assert NetReplacePart(chain, {(1, "Weights"): Automatic}).missing == [("1", "Weights")]
    assert NetReplacePart(chain, [Rule([1, "Weights"], values)]) == NetReplacePart(chain, Rule((1, "Weights"), values))


def test_an_array_that_does_not_fit_is_an_error_not_a_loss(chain):
    with pytest.raises(ShapeError, match=r"(?s)^NetReplacePart: .*Weights"):
        NetReplacePart(chain, {(3, "Weights"): np.zeros((2, 5))})


def test_the_same_in_every_part():
    net = NetReplacePart(NetInitialize(NetChain([3, 3], Input=3)), {(All, "Biases"): None})
    assert set(net.arrays) == {("1", "Weights"), ("2", "Weights")}


def test_decoder_and_encoder(classifier):
    bare = NetReplacePart(classifier, {"Input": None, "Output": None})
    assert bare.encoder("Input") is None
    assert bare.decoder("Output") is None
    assert (bare.port_type("Input").sizes, bare.port_type("Output").sizes) == ((1, 4, 4), (3,))
    assert bare.initialized
    again = NetReplacePart(
        bare, {"Input": NetEncoder("Image", [4, 4], ColorSpace="Grayscale"), "Output": NetDecoder("Class", ["a", "b", "c"])}
    )
    assert again == classifier
    picture = np.zeros((4, 4), np.uint8)
    assert again(picture) == classifier(picture)


def test_a_port_is_replaced_in_the_parts_behind_it_too():
    inner = NetChain([LinearLayer(2, Input=3)])
    net = NetReplacePart(NetChain([inner]), {"Input": 5})
    assert net.port_type("Input").sizes == (5,)
    net = NetReplacePart(NetChain([LinearLayer(2, Output=NetDecoder("Class", ["a", "b"]))], Input=3), {"Output": None})
    assert net.decoder("Output") is None
    net = NetReplacePart(NetChain([LinearLayer(), SoftmaxLayer()], Input=4, Output=3), {"Output": 5})
    assert net.port_type("Output").sizes == (5,)


def test_automatic_leaves_a_port_to_what_follows():
    net = NetReplacePart(NetChain([Ramp], Input=4), {"Input": Automatic})
    assert net.port_type("Input").sizes is None


def test_parameters_of_coders(classifier):
    with pytest.warns(NetWarning, match=re.escape("hidden/Weights (was 5x16, now 5x36)")):
        net = NetReplacePart(classifier, {("Input", "ImageSize"): [6, 6]})
    assert NetExtract(net, ["Input", "ImageSize"]) == [6, 6]
    grey = NetEncoder("Image", [4, 4], ColorSpace="Grayscale")
    assert NetReplacePart(NetEncoder("Image", [4, 4]), {"ColorSpace": "Grayscale"}) == grey
    assert NetReplacePart(NetDecoder("Class", ["a", "b"]), {"Labels": ["c", "d"]}) == NetDecoder("Class", ["c", "d"])


def test_parameters_of_layers(chain):
    with pytest.warns(NetWarning, match="3 arrays that no longer fit: 1/Weights .*, 1/Biases .* and 3/Weights"):
        net = NetReplacePart(chain, {(1, "OutputDimensions"): 8})
    assert net[1].port_type("Output").sizes == (8,)
    assert NetReplacePart(LinearLayer(3), {"OutputDimensions": 8}) == LinearLayer(8)


def test_nested_paths_and_operators():
    net = NetInitialize(NetChain({"a": NetChain([4, Ramp]), "m": 2}, Input=3))
    made = NetReplacePart(net, {("a", 2): Tanh, ("a", 1, "Biases"): np.ones(4)})
    assert repr(made["a", 2]) == "ElementwiseLayer(Tanh, Input=4, Output=4)"
    np.testing.assert_array_equal(made["a", 1, "Biases"], np.ones(4))
    mapped = NetInitialize(NetMapOperator(NetChain([4, Ramp]), Input=[2, 3]))
    made = NetReplacePart(mapped, {("Net", 2): Tanh})
    linear = NetMapOperator(mapped["Net", 1])
    np.testing.assert_allclose(made(np.ones((2, 3))), np.tanh(np.asarray(linear(np.ones((2, 3))))), rtol=1e-5)
    with pytest.warns(NetWarning, match="Net/1/Weights"):
        assert NetReplacePart(mapped, {"Input": [2, 5]}).missing == [("Net", "1", "Weights")]


def test_a_layer_in_a_graph_keeps_its_wires(graph):
    net = NetReplacePart(graph, {"b": LinearLayer(5)})
    assert net.edge_list() == graph.edge_list()
    assert net.missing == [("b", "Weights"), ("b", "Biases")]
    with pytest.raises(
        PartError, match="cannot take the place of part 'sum' of this NetGraph: wired are its input ports Input1 and Input2"
    ):
        NetReplacePart(graph, {"sum": Ramp})


def test_shared_arrays(tied):
    net = NetReplacePart(tied, {NetArray("w"): np.eye(3)})
    np.testing.assert_array_equal(net["two", "Weights"], np.eye(3))
    apart = NetReplacePart(tied, {("one", "Weights"): np.eye(3)})
    assert len(apart.array_table()) == len(tied.array_table()) + 1
    assert apart["two", "Weights"] is tied["two", "Weights"]
    alone = NetReplacePart(tied, {("one", "Weights"): np.eye(3), ("two", "Weights"): np.eye(3)})
    assert not alone.shared
    tie = {(1, "Weights"): NetArray("w", Array=np.eye(3)), (2, "Weights"): NetArray("w")}
    joined = NetReplacePart(NetChain([3, 3], Input=3), tie)
    np.testing.assert_array_equal(joined.shared["w"], np.eye(3))
    assert (joined[1, "Weights"] == joined[2, "Weights"]).all()


def test_muted_outputs_stay_muted():
    graph = NetGraph({"a": Ramp, "b": Tanh}, [("a", None)])
    assert graph.output_names == ("Output",)
    assert NetReplacePart(graph, {"b": Ramp}).output_names == ("Output",)


MESSAGES = [
    ({"hiden": 3}, PartError, "NetReplacePart: this NetChain has no part 'hiden'. Did you mean 'hidden'?"),
    (
        {("hidden", "Weigths"): 0},
        PartError,
        "NetReplacePart: the LinearLayer at 'hidden' has no part 'Weigths'. Did you mean 'Weights'?",
    ),
    (
        {("act", "Output", "Labels"): []},
        PartError,
        "NetReplacePart: port 'Output' of the ElementwiseLayer at 'act' has no encoder or decoder, so there is no 'Labels' to "
        "replace.",
    ),
    (
        {("hidden", "Weights"): None},
        DeclarationError,
        "The array Weights of LinearLayer cannot be None: the layer needs it. Leave it out to have it initialized.",
    ),
    (
        {0: Ramp},
        PartError,
        "NetReplacePart: this NetChain has no part 0. Parts are numbered from 1: 1 is the first, -1 the last.",
    ),
    ({NetArray("v"): 0}, PartError, "NetReplacePart: this NetChain has no shared array 'v'. There are none."),
    ("Input", DeclarationError, "NetReplacePart takes rules: a dict, Rule(key, value) or a list of rules. Got 'Input'."),
    (
        {"act": "Ramp"},
        DeclarationError,
        "the new part 'act' is 'Ramp', which is no layer. A layer, a net, an integer, a function or a list of them can stand "
        "there.",
    ),
]


@pytest.mark.parametrize(("rules", "error", "message"), MESSAGES, ids=[m for _, _, m in MESSAGES])
def test_messages(classifier, rules, error, message, bits):
    before = bits(classifier)
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        NetReplacePart(classifier, rules)
    assert bits(classifier) == before
