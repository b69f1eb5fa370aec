"""The nets of the examples: ports, numbers of elements counted by hand, and that they can be evaluated."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from netdsl import ConvolutionLayer, Information, NetExtract, NetInitialize, NetTrain

EXAMPLES = Path(__file__).parents[2] / "examples"
RANDOM = np.random.default_rng(1)
GRAY = (255 * RANDOM.random((3, 28, 28))).astype(np.uint8)


@pytest.fixture(scope="module", autouse=True)
def examples_can_be_imported():
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(EXAMPLES))
    yield
    patch.undo()


def example(name):
    """The module of an example. Importing it trains nothing."""
    module = importlib.import_module(name)
    assert Path(module.__file__).parent == EXAMPLES
    return module


def elements(net):
    return Information(net, "ArraysTotalElementCount")


def test_resnet():
    """The 0.27 million numbers of the article, without those of shortcuts, which have none."""
    resnet = example("resnet")
    names = [f"class {i}" for i in range(10)]
    net = NetInitialize(resnet.resnet(names))
    assert elements(net) == resnet.WEIGHTS + 4 * resnet.NORMALIZED == 271_098
    assert sum(array.size for array in net.arrays.values()) == 269_722
    # 18 more blocks of the two convolutions make ResNet-56, of 0.85 million
    assert sum(array.size for array in NetInitialize(resnet.resnet(names, blocks=9)).arrays.values()) == 853_018
    stages = [NetExtract(net, place).port_type("Output").sizes for place in (1, 2, 4, 5, 7, 8, 10, 11)]
    assert stages == [(16, 32, 32)] * 3 + [(32, 16, 16)] * 2 + [(64, 8, 8)] * 3
    pictures = (255 * RANDOM.random((2, 32, 32, 3))).astype(np.uint8)
    assert net.port_type("Input").sizes == (3, 32, 32)
    assert set(net(pictures)) <= set(names)
    assert np.asarray(net(pictures, None)).shape == (2, 10)


def test_a_residual_block_adds_to_every_second_pixel():
    resnet = example("resnet")
    block = resnet.residual(32, 2)
    net = NetInitialize(block.changed(Ports={"Input": [16, 8, 8]}))
    silent = net.with_arrays({path: 0 * array if path[-1] == "Weights" else array for path, array in net.arrays.items()})
    x = RANDOM.normal(size=(16, 8, 8)).astype(np.float32)
    made = np.asarray(silent(x))
    np.testing.assert_array_equal(made[8:24], x[:, ::2, ::2])
    assert not made[:8].any()
    assert not made[24:].any()


@pytest.mark.parametrize("channels", [2, 8])
def test_unet(channels):
    unet = example("unet")
    net = NetInitialize(unet.unet(channels))
    assert elements(net) == unet.element_count(channels)
    assert channels != 8 or elements(net) == 29_961
    assert NetExtract(net, "bottom").port_type("Output").sizes == (4 * channels, 8, 8)
    assert NetExtract(net, "join1").port_type("Output").sizes == (2 * channels, 32, 32)
    pictures, masks = unet.cluttered(GRAY, 1)
    assert pictures.shape == masks.shape == (3, 32, 32)
    assert set(np.unique(masks)) == {0, 255}
    assert net(pictures[0]).size == (32, 32)
    found = np.asarray(net(pictures, None))
    assert found.shape == (3, 1, 32, 32)
    assert unet.overlap(masks > 0, masks > 0) == 1.0


def test_variational_autoencoder():
    vae = example("variational_autoencoder")
    net = NetInitialize(vae.training_net())
    assert elements(net) == vae.ENCODER + vae.DECODER == 404_244
    assert (net.input_names, net.output_names) == (("Input",), ("Reconstruction", "Divergence"))
    losses = net({"Input": GRAY})
    code = NetExtract(net, "encoder")(GRAY)
    mean, log_variance = np.asarray(code["Mean"]), np.asarray(code["LogVariance"])
    expected = 0.5 * np.sum(mean**2 + np.exp(log_variance) - 1 - log_variance, axis=1)
    np.testing.assert_allclose(losses["Divergence"], expected, rtol=1e-4, atol=1e-6)
    assert np.all(np.asarray(losses["Reconstruction"]) > 0)
    decoder = NetExtract(net, "decoder")
    assert decoder([0.0, 0.0]).size == (28, 28)


def test_the_codes_drawn_have_the_encoders_mean_and_deviation():
    vae = example("variational_autoencoder")
    net = NetInitialize(vae.training_net())
    drawn = np.array([net({"Input": GRAY[0]}, vae.NetPort(["code", "Output"]), RandomSeeding=seed) for seed in range(400)])
    code = NetExtract(net, "encoder")(GRAY[0])
    deviation = np.exp(np.asarray(code["LogVariance"]) / 2)
    np.testing.assert_allclose(drawn.mean(0), code["Mean"], atol=0.25 * deviation.max())
    np.testing.assert_allclose(drawn.std(0), deviation, rtol=0.15)


@pytest.mark.parametrize(
    ("name", "build", "judge", "size", "count"),
    [
        ("dcgan", "dcgan", "discriminator", 16, 120_644),
        ("wasserstein_gan", "wasserstein_gan", "critic", 256, 1_078_803),
    ],
)
def test_gans(name, build, judge, size, count):
    module = example(name)
    net = NetInitialize(getattr(module, build)())
    assert elements(net) == sum(module.element_counts(size)) == count
    parts = NetExtract(net, ["gan", "Generator"]), NetExtract(net, ["gan", "Discriminator"])
    assert [elements(part) for part in parts] == list(module.element_counts(size))
    assert (net.input_names, net.output_names) == (("Sample",), ("LossReal", "LossFake", "GeneratedFake"))
    made = net({"Sample": GRAY})
    fake = np.asarray(parts[0](RANDOM.normal(size=(3, module.LATENT)), None))
    assert fake.shape == (3, 1, 28, 28)
    verdict = np.asarray(parts[1](GRAY[:, None] / np.float32(255)))
    expected = -np.log(verdict) if judge == "discriminator" else -verdict
    np.testing.assert_allclose(made["LossReal"], expected, rtol=1e-4, atol=1e-5)


def test_the_critic_is_clipped_and_the_generator_waits():
    module = example("wasserstein_gan")
    net = NetInitialize(module.wasserstein_gan(2))
    options = {**module.TRAINING, "BatchSize": 3, "TrainingProgressReporting": None}
    two, three = (NetTrain(net, {"Sample": GRAY}, MaxTrainingRounds=rounds, **options) for rounds in (2, 3))
    for path, array in net.array_table().items():
        judging = "Discriminator" in path
        assert np.array_equal(two.array_table()[path], three.array_table()[path]) is judging or path[-1] == "Biases"
        assert judging or np.array_equal(two.array_table()[path], array)
        if judging and path[-1] != "Slope":
            assert np.abs(two.arrays[path]).max() <= module.CLIP * (1 + 1e-6)


def test_a_new_head_on_a_trained_net():
    transfer = example("transfer_learning")
    known = NetInitialize(transfer.classifier())
    net = NetInitialize(transfer.with_new_head(known))
    assert elements(known) == elements(net) == (25 * 20 + 20) + (25 * 20 * 50 + 50) + (800 * 128 + 128) + (128 * 5 + 5)
    kept = {path[1:]: array for path, array in net.arrays.items() if path[0] == "trunk"}
    assert kept.keys() == {path for path in known.arrays if path[0].startswith("conv")}
    assert all(np.array_equal(array, known.arrays[path]) for path, array in kept.items())
    assert set(known(GRAY)) <= set(transfer.OLD)
    assert set(net(GRAY)) <= set(transfer.NEW)


def test_siamese():
    siamese = example("siamese")
    net = NetInitialize(siamese.NetPairEmbeddingOperator(siamese.embedding_net()))
    assert elements(net) == siamese.ELEMENTS == 57_074
    assert net.port_type("Input").sizes == (2, 1, 28, 28)
    digits = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9] * 4)
    pictures = np.broadcast_to(digits[:, None, None] * 20, (40, 28, 28)).astype(np.uint8)
    inputs, different = siamese.pairs(siamese.Rule(pictures, digits), 300, 1)
    np.testing.assert_array_equal((inputs[:, 0] != inputs[:, 1]).any((1, 2, 3)), different)
    assert 0.4 < different.mean() < 0.6
    points = np.asarray(NetExtract(net, "Net")(inputs[:9].reshape(18, 1, 28, 28))).reshape(9, 2, 2)
    np.testing.assert_allclose(net(inputs[:9]), np.linalg.norm(points[:, 0] - points[:, 1], axis=1), rtol=1e-4, atol=1e-5)


def test_pixelcnn():
    pixelcnn = example("pixelcnn")
    net = NetInitialize(pixelcnn.pixelcnn())
    assert elements(net) == pixelcnn.element_count(pixelcnn.CHANNELS, pixelcnn.BLOCKS) == 7_945
    seen = pixelcnn.pixels_seen(net)
    assert not np.tril(seen).any()  # a pixel changes nothing before it, nor itself,
    assert np.diag(seen, 1).reshape(-1)[:13].all()  # but the next one in its row,
    assert np.diag(seen, 14).mean() > 0.9  # and the one below it (where no ramp is shut)


@pytest.mark.parametrize(("size", "itself"), [(3, True), (3, False), (5, True), (7, False)])
def test_causal_convolutions_are_masked_ones(size, itself):
    """The kernels put together and masked by zeros, as one ConvolutionLayer."""
    net = NetInitialize(example("pixelcnn").causal(2, size, itself).changed(Ports={"Input": [3, 6, 5]}))
    above, left = NetExtract(net, ["above", 1, "Weights"]), NetExtract(net, ["left", 1, "Weights"])
    reach = size // 2
    weights = np.zeros((2, 3, size, size), np.float32)
    weights[:, :, :reach] = above
    weights[:, :, reach, : reach + itself] = np.asarray(left)[:, :, 0]
    masked = ConvolutionLayer(2, size, PaddingSize=reach, Weights=weights, Biases=NetExtract(net, ["above", 1, "Biases"]))
    x = RANDOM.normal(size=(3, 6, 5))
    np.testing.assert_allclose(net(x), masked(x), rtol=1e-4, atol=1e-5)


def test_pixels_are_drawn_by_their_probabilities():
    """Where all are as likely as not, about half of them are ones; where all are certain, all are."""
    pixelcnn = example("pixelcnn")
    net = NetInitialize(pixelcnn.pixelcnn(2, 1))
    last = max(net.arrays, key=lambda path: int(path[0]))[0]
    for bias, share in ((0.0, 0.5), (50.0, 1.0)):
        fixed = {
            path: 0 * array + (bias if path[-1] == "Biases" else 0) if path[0] == last else array
            for path, array in net.arrays.items()
        }
        drawn = pixelcnn.drawn(net.with_arrays(fixed), 8, 1)
        assert set(np.unique(drawn)) <= {0, 1}
        assert abs(drawn.mean() - share) < 0.05
