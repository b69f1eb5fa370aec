"""The Image encoder against Pillow and NumPy arithmetic by hand, and everything hostile that a picture may be."""

from __future__ import annotations

import io
import pathlib
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from PIL import Image

from netdsl.encoders import NetEncoder, pixels
from netdsl.errors import DeclarationError, EncodingError, UnsupportedError
from netdsl.symbols import File, Symbol

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 5), np.uint8)
COLOR = RNG.integers(0, 256, (6, 5, 3), np.uint8)


class Pictures:
    """Stands for a column of pictures: a kind, an array, and items."""

    kind = "image"

    def __init__(self, data: np.ndarray) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self):
        return iter(map(Image.fromarray, self.data))


def luma(color: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(color).convert("L"))


def same(encoded, expected):
    expected = np.asarray(expected, np.float64)
    assert encoded.dtype == np.float32
    assert encoded.shape == expected.shape
    np.testing.assert_allclose(encoded, expected, rtol=0, atol=2e-7)


def png_with_size(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_layouts():
    size = (5, 6)
    same(NetEncoder("Image", size)(COLOR), np.moveaxis(COLOR / 255, 2, 0))
    same(NetEncoder("Image", size, Interleaving=True)(COLOR), COLOR / 255)
    same(NetEncoder("Image", size, DataTransposed=True)(COLOR), (COLOR / 255).transpose(2, 1, 0))
    same(NetEncoder("Image", size, DataTransposed=True, Interleaving=True)(COLOR), (COLOR / 255).transpose(1, 0, 2))
    same(NetEncoder("Image", size, ColorSpace="Grayscale")(GREY), GREY[None] / 255)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"Interleaving": True},
        {"DataTransposed": True},
        {"ColorSpace": "Grayscale"},
        {"Interleaving": True, "DataTransposed": True},
    ],
)
def test_the_type_is_what_comes_out(options):
    encoder = NetEncoder("Image", (5, 6), **options)
    assert encoder(COLOR).shape == encoder.type().sizes
    assert encoder([COLOR, GREY]).shape == (2, *encoder.type().sizes)


def test_colour_spaces():
    same(NetEncoder("Image", (5, 6), ColorSpace="Grayscale")(COLOR), luma(COLOR)[None] / 255)
    same(NetEncoder("Image", (5, 6))(GREY), np.stack([GREY] * 3) / 255)
    encoder = NetEncoder("Image", (5, 6), ColorSpace="Grayscale")
    assert encoder.ColorChannels == 1
    assert NetEncoder("Image").ColorChannels == 3
    many = RNG.integers(0, 256, (300, 200, 3), np.uint8)
    assert (NetEncoder("Image", (200, 300), ColorSpace="Grayscale").encode(many)[..., 0] == luma(many)).all()


def test_mean_and_variance():
    values = COLOR / 255
    picture = RNG.random((6, 5, 3))
    size = (5, 6)
    same(NetEncoder("Image", size, Interleaving=True, MeanImage=0.5)(COLOR), values - 0.5)
    same(NetEncoder("Image", size, Interleaving=True, MeanImage=[0.1, 0.2, 0.3])(COLOR), values - [0.1, 0.2, 0.3])
    same(NetEncoder("Image", size, Interleaving=True, MeanImage=picture)(COLOR), values - picture)
    same(NetEncoder("Image", size, Interleaving=True, MeanImage=np.moveaxis(picture, 2, 0))(COLOR), values - picture)
    same(NetEncoder("Image", size, Interleaving=True, MeanImage=Image.fromarray(COLOR))(COLOR[::-1]), values[::-1] - values)
    both = NetEncoder("Image", size, MeanImage=0.5, VarianceImage=[0.25, 0.25, 4.0])(COLOR)
    same(both, np.moveaxis((values - 0.5) / [0.5, 0.5, 2.0], 2, 0))
    transposed = NetEncoder("Image", size, MeanImage=picture, DataTransposed=True)(COLOR)
    same(transposed, (values - picture).transpose(2, 1, 0))


def test_encoders_with_pictures_are_values():
    one, two = (NetEncoder("Image", (5, 6), MeanImage=COLOR / 255) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    assert one != NetEncoder("Image", (5, 6), MeanImage=COLOR / 256)
    assert repr(one) == "NetEncoder('Image', [5, 6], MeanImage=float32[6, 5, 3])"
    assert one.changed(Interleaving=True).MeanImage == one.MeanImage


@pytest.mark.parametrize(
    ("resampling", "filter_"),
    [
        ("Nearest", Image.Resampling.NEAREST),
        ("Linear", Image.Resampling.BILINEAR),
        ("Cubic", Image.Resampling.BICUBIC),
        ("Lanczos", Image.Resampling.LANCZOS),
    ],
)
def test_stretch_is_pillows_resize(resampling, filter_):
    big = RNG.integers(0, 256, (30, 40, 3), np.uint8)
    encoder = NetEncoder("Image", (7, 9), Interleaving=True, Resampling=resampling)
    expected = np.asarray(Image.fromarray(big).resize((7, 9), filter_))
    same(encoder(big), expected / 255)


def test_shrinking_averages():
    checkers = np.kron(np.indices((140, 140)).sum(0) % 2, np.ones((2, 2))) * 255
    encoded = NetEncoder("Image", (28, 28), ColorSpace="Grayscale")(checkers.astype(np.uint8))
    assert abs(encoded - 0.5).max() < 0.05


def test_fit_pads():
    wide = np.full((10, 20), 255, np.uint8)
    encoder = NetEncoder("Image", 20, ColorSpace="Grayscale", Method="Fit")
    expected = np.zeros((20, 20))
    expected[5:15] = 1
    same(encoder(wide), expected[None])
    same(encoder.changed(Alignment="Top")(wide), np.roll(expected, -5, 0)[None])
    same(encoder.changed(Alignment=Symbol("Bottom"))(wide), np.roll(expected, 5, 0)[None])
    same(encoder.changed(Padding="White")(wide), np.ones((1, 20, 20)))
    same(encoder.changed(Padding=0.2)(wide), np.where(expected, 1, 0.2)[None])
    same(encoder.changed(Padding="Fixed")(wide), np.ones((1, 20, 20)))
    red = NetEncoder("Image", 20, Method="Fit", Padding=[1, 0, 0])(wide)
    assert red[:, 0, 0].tolist() == [1, 0, 0]


def test_fill_crops():
    wide = np.tile(np.arange(40, dtype=np.uint8), (10, 1))
    encoder = NetEncoder("Image", (10, 10), ColorSpace="Grayscale", Method="Fill")
    same(encoder(wide), wide[None, :, 15:25] / 255)
    same(encoder.changed(Alignment="Left")(wide), wide[None, :, :10] / 255)
    same(encoder.changed(Alignment=["Right", "Top"])(wide), wide[None, :, 30:] / 255)


def test_every_size_in_every_method():
    for method in ("Stretch", "Fit", "Fill"):
        for shape in [(1, 1), (1, 500), (500, 1), (33, 37), (281, 279)]:
            for padding in ("Black", "Fixed", "Reflected", "Periodic"):
                encoder = NetEncoder("Image", (28, 29), Method=method, Padding=padding)
                assert encoder(np.full(shape, 7, np.uint8)).shape == (3, 29, 28)


def test_what_counts_as_one_picture(tmp_path):
    encoder = NetEncoder("Image", (5, 6))
    one = [
        "a.png",
        tmp_path / "a.png",
        File("a.png"),
        Image.new("L", (2, 2)),
        GREY,
        GREY / 255,
        GREY > 9,
        COLOR,
        COLOR > 9,
        np.zeros((6, 5, 4), np.uint8),
        np.zeros((6, 5, 1), np.uint8),
        jax.numpy.asarray(GREY),
    ]
    many = [
        ["a.png"],
        [GREY],
        (GREY, COLOR),
        np.zeros((2, 6, 5), np.uint8),
        np.zeros((2, 6, 5, 3), np.uint8),
        Pictures(COLOR[None]),
        np.zeros((1, 6, 5, 3), np.uint8),
    ]
    assert [encoder.takes(thing) for thing in one] == [True] * len(one)
    assert [encoder.takes(thing) for thing in many] == [False] * len(many)


def test_what_counts_as_encoded():
    encoder = NetEncoder("Image", (5, 6), ColorSpace="Grayscale")
    encoded = encoder(GREY)
    assert encoder.encoded_levels(encoded) == 0
    assert encoder.encoded_levels(encoded[None]) == 1
    assert encoder.encoded_levels([encoded, encoded]) == 1
    assert encoder.encoded_levels(encoded.tolist()) == 0
    assert encoder.encoded_levels([encoded.tolist()] * 2) == 1
    assert encoder.encoded_levels(jax.numpy.asarray(encoded)) == 0
    for thing in [GREY, GREY[None], GREY / 255, "a.png", [GREY], [], [[]], encoded[..., :4], [encoded, GREY], [[1.0], [1.0, 2]]]:
        assert encoder.encoded_levels(thing) is None
    assert (encoder(encoded) == encoded).all()


def test_value_ranges():
    encoder = NetEncoder("Image", 2, ColorSpace="Grayscale")
    expected = np.array([[[0, 51], [102, 255]]]) / 255
    same(encoder(np.array([[0, 0.2], [0.4, 1]])), expected)
    same(encoder(np.array([[0, 51], [102, 255]])), expected)
    same(encoder(np.array([[0, 51], [102, 255]], np.uint16) * np.uint16(257)), expected)
    same(encoder(np.array([[False, True], [True, False]])), [[[0, 1], [1, 0]]])
    same(encoder(jax.numpy.array([[0, 0.2], [0.4, 1]], jax.numpy.bfloat16)), expected)


@pytest.mark.parametrize("data", [GREY, COLOR, np.dstack([COLOR, GREY])])
@pytest.mark.parametrize("space", ["RGB", "Grayscale"])
@pytest.mark.parametrize("size", [(5, 6), (4, 3)])
def test_many_are_the_ones(data, space, size):
    encoder = NetEncoder("Image", size, ColorSpace=space)
    stack = np.stack([data, data[::-1], 255 - data])
    ones = np.stack([encoder(one) for one in stack])
    assert (encoder(stack) == ones).all()
    assert (encoder(list(stack)) == ones).all()
    assert (encoder(Pictures(stack)) == ones).all()
    assert (encoder([Image.fromarray(one) for one in stack]) == ones).all()


def test_a_column_of_the_right_size_is_not_looped_over():
    column = Pictures(np.zeros((60000, 28, 28), np.uint8))
    encoder = NetEncoder("Image", (28, 28), ColorSpace="Grayscale")
    compact = encoder.encode_many(column)
    assert np.shares_memory(compact, column.data)


def test_the_device_half_is_the_same_compiled():
    encoder = NetEncoder("Image", (5, 6), MeanImage=[0.1, 0.2, 0.3], VarianceImage=0.3)
    compact = encoder.encode(COLOR)
    assert compact.dtype == np.uint8
    np.testing.assert_allclose(np.asarray(jax.jit(encoder.device)(compact)), encoder(COLOR), rtol=0, atol=5e-7)
    full = NetEncoder("Image", 1, ColorSpace="Grayscale")
    assert full(np.array([[255]], np.uint8)) == 1


def saved(image: Image.Image, format_: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def test_kinds_of_files(tmp_path):
    path = tmp_path / "é π 名.img"
    encoder = NetEncoder("Image", (5, 6), Interleaving=True)

    def read(image, format_, **options):
        path.write_bytes(saved(image, format_, **options))
        return encoder(str(path))

    rgb = Image.fromarray(COLOR)
    same(read(rgb, "PNG"), COLOR / 255)
    same(read(rgb.quantize(256), "PNG"), np.asarray(rgb.quantize(256).convert("RGB")) / 255)
    cmyk = rgb.convert("CMYK")
    same(read(cmyk, "TIFF"), np.asarray(cmyk.convert("RGB")) / 255)
    deep = GREY.astype(np.uint16) * 256 + 77
    same(read(Image.fromarray(deep), "PNG"), np.rint(deep / 257)[..., None].repeat(3, 2) / 255)
    same(read(Image.fromarray(GREY > 100), "PNG"), (GREY > 100)[..., None].repeat(3, 2))
    same(read(Image.fromarray((GREY / 255).astype(np.float32)), "TIFF"), GREY[..., None].repeat(3, 2) / 255)
    frames = [rgb.quantize(256), Image.new("P", (5, 6))]
    same(read(frames[0], "GIF", save_all=True, append_images=frames[1:]), np.asarray(frames[0].convert("RGB")) / 255)
    grey = NetEncoder("Image", (5, 6), ColorSpace="Grayscale")
    same(grey(path), luma(np.asarray(frames[0].convert("RGB")))[None] / 255)


def test_rotation_of_a_camera(tmp_path):
    upright = Image.fromarray(COLOR)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    path.write_bytes(saved(upright.rotate(90, expand=True), "PNG", exif=exif.tobytes()))
    same(NetEncoder("Image", (5, 6), Interleaving=True)(path), COLOR / 255)


def test_transparent_pixels_are_white():
    rgba = np.dstack([COLOR, GREY])
    white = Image.new("RGBA", (5, 6), "white")
    white.alpha_composite(Image.fromarray(rgba))
    encoded = NetEncoder("Image", (5, 6), Interleaving=True)(Image.fromarray(rgba))
    np.testing.assert_allclose(encoded * 255, np.asarray(white.convert("RGB")), atol=1.01)
    ink = np.zeros((6, 5, 4), np.uint8)
    ink[2, 3, 3] = 255
    seen = NetEncoder("Image", (5, 6), ColorSpace="Grayscale")(ink)
    assert seen.sum() == 29
    assert seen[0, 2, 3] == 0


def test_truncated_files_name_themselves(tmp_path):
    whole = saved(Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8)), "JPEG")
    encoder = NetEncoder("Image", 8)
    path = tmp_path / "cut.jpg"
    for part in range(16):
        path.write_bytes(whole[: len(whole) * part // 16])
        with pytest.raises(EncodingError, match=r"Cannot read '.*cut\.jpg'"):
            encoder(path)


def test_garbage_and_bombs(tmp_path):
    encoder = NetEncoder("Image", 8)
    path = tmp_path / "bad.png"
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for data, message in [
            (b"", "it is no image of a known format"),
            (b"just text", "it is no image of a known format"),
            (bytes(range(256)) * 8, "it is no image of a known format"),
            (png_with_size(100_000, 100_000), "it declares more pixels than the 67,108,864 that are allowed"),
            (png_with_size(11_000, 11_000), "it declares more pixels than the 67,108,864 that are allowed"),
            (png_with_size(9_000, 9_000), "it declares 9000 x 9000 pixels; 67,108,864 are allowed"),
        ]:
            path.write_bytes(data)
            with pytest.raises(EncodingError) as caught:
                encoder(path)
            assert str(caught.value) == f'NetEncoder("Image"): Cannot read {str(path)!r}: {message}.'
    assert before == Image.MAX_IMAGE_PIXELS
    assert before > pixels.MAX_PIXELS


def test_what_is_no_picture(tmp_path):
    encoder = NetEncoder("Image", (5, 6))
    missing = tmp_path / "missing.png"
    for thing, message in [
        (missing, f"There is no image file {str(missing)!r}."),
        (tmp_path, f"{str(tmp_path)!r} is no file."),
        (3, "3 is no picture. A picture is a PIL image, a path or an array of pixels."),
        (None, "None is no picture. A picture is a PIL image, a path or an array of pixels."),
        (
            np.array([[0.0, 255.0]]),
            "Float pixels run from 0 to 1. These run from 0 to 255; scale them, or convert them to uint8.",
        ),
        (
            np.array([[0.0, np.nan]]),
            "Float pixels run from 0 to 1. These run from nan to nan; scale them, or convert them to uint8.",
        ),
        (
            np.array([[-1, 300]]),
            "Pixels of int64 run from 0 to 255. These run from -1 to 300; scale them, or convert them to uint8.",
        ),
        (np.zeros((0, 5), np.uint8), "A picture needs at least one pixel. Got an array of shape [0, 5]."),
        (np.array([["a"]]), "Pixels are numbers. Got an array of <U1."),
        (
            np.zeros((6, 5, 3)),
            "the float64 array of shape [6, 5, 3] is no picture and no list of pictures. Pictures are uint8 arrays [n, "
            "height, width] or "
            "[n, height, width, channels] with 1, 3 or 4 channels; encoded ones are float arrays [3, 6, 5].",
        ),
        (
            np.zeros((2, 3, 6, 5), np.uint8),
            "the uint8 array of shape [2, 3, 6, 5] is no picture and no list of pictures. Pictures are uint8 arrays [n, "
            "height, width] or "
            "[n, height, width, channels] with 1, 3 or 4 channels; encoded ones are float arrays [3, 6, 5].",
        ),
        (
            np.zeros(5, np.uint8),
            "the uint8 array of shape [5] is no picture and no list of pictures. Pictures are uint8 arrays [n, height, width] or "
            "[n, height, width, channels] with 1, 3 or 4 channels; encoded ones are float arrays [3, 6, 5].",
        ),
    ]:
        with pytest.raises(EncodingError) as caught:
            encoder(thing)
        assert str(caught.value) == f'NetEncoder("Image"): {message}'


def test_one_bad_image_among_many(tmp_path):
    good = tmp_path / "good.png"
    good.write_bytes(saved(Image.fromarray(COLOR), "PNG"))
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"text")
    with pytest.raises(EncodingError) as caught:
        NetEncoder("Image", (5, 6))([good, COLOR, bad, good])
    assert str(caught.value) == (
        f'NetEncoder("Image") at position 3 of 4: Cannot read {str(bad)!r}: it is no image of a known format.'
    )


def test_wrong_declarations():
    for options, kind, message in [
        (
            {"ColorSpace": "CMYK"},
            UnsupportedError,
            'The ColorSpace \'CMYK\' of NetEncoder("Image") does not exist in netdsl. There are "RGB" and "Grayscale".',
        ),
        (
            {"ColorSpace": "Grey"},
            DeclarationError,
            "The ColorSpace parameter of NetEncoder(\"Image\") must be 'RGB' or 'Grayscale'. Got 'Grey' instead.",
        ),
        (
            {"ColourSpace": "RGB"},
            DeclarationError,
            "NetEncoder(\"Image\") has no option or port 'ColourSpace'. Did you mean 'ColorSpace'?",
        ),
        ({"MeanImage": [0.1, 0.2]}, DeclarationError, 'The MeanImage of NetEncoder("Image") needs 3 numbers for RGB. Got 2.'),
        (
            {"MeanImage": np.zeros((2, 2))},
            DeclarationError,
            'The MeanImage of NetEncoder("Image") must have the picture\'s own shape [128, 128, 3] ([height, width, '
            "channels]). Got [2, 2].",
        ),
        (
            {"VarianceImage": 0},
            DeclarationError,
            'The VarianceImage parameter of NetEncoder("Image") must be a number greater than 0, a list of them for the '
            "channels, or a "
            "picture of them, or None. Got 0 instead.",
        ),
        (
            {"VarianceImage": np.zeros((128, 128, 3))},
            DeclarationError,
            'The VarianceImage of NetEncoder("Image") must be greater than 0 everywhere.',
        ),
        ({"Padding": [0, 1]}, DeclarationError, 'The Padding of NetEncoder("Image") needs 3 levels for RGB. Got 2.'),
    ]:
        with pytest.raises(kind) as caught:
            NetEncoder("Image", **options)
        assert str(caught.value) == message


def test_the_parameters_of_wolfram():
    encoder = NetEncoder("Image", 28, ColorSpace=Symbol("Grayscale"))
    assert encoder.ImageSize == (28, 28)
    assert NetEncoder("Image").ImageSize == (128, 128)
    assert list(encoder.parameters) == [
        "ImageSize",
        "ColorSpace",
        "Interleaving",
        "DataTransposed",
        "MeanImage",
        "VarianceImage",
        "Method",
        "Resampling",
        "Alignment",
        "Padding",
    ]


def test_reading_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.png").write_bytes(saved(Image.fromarray(COLOR), "PNG"))
    assert NetEncoder("Image", (5, 6))("~/a.png").shape == (3, 6, 5)
    assert NetEncoder("Image", (5, 6))(pathlib.Path("~/a.png")).shape == (3, 6, 5)


def test_folders_read_by_several_threads(tmp_path):
    paths = []
    for i in range(40):
        paths.append(tmp_path / f"{i}.png")
        paths[-1].write_bytes(saved(Image.fromarray(np.full((6, 5), i, np.uint8)), "PNG"))
    encoder = NetEncoder("Image", (5, 6), ColorSpace="Grayscale")
    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        encoded = list(pool.map(encoder.encode, paths))
    assert [int(one[0, 0, 0]) for one in encoded] == list(range(40))
    assert list(warnings.filters) == filters


def test_many_files_are_read_in_their_order_and_the_first_bad_one_is_named(tmp_path):
    paths = []
    for i in range(200):
        paths.append(tmp_path / f"{i}.png")
        paths[-1].write_bytes(saved(Image.fromarray(np.full((6, 5), i, np.uint8)), "PNG"))
    encoder = NetEncoder("Image", (5, 6), ColorSpace="Grayscale")
    assert encoder.encode_many(paths)[:, 0, 0, 0].tolist() == list(range(200))
    assert encoder.encode_many(np.array(list(map(str, paths)), object))[:, 0, 0, 0].tolist() == list(range(200))
    for place in (199, 130, 71, 70):  # in three of the threads' parts
        paths[place].write_bytes(b"text")
        with pytest.raises(EncodingError, match=rf"at position {place + 1} of 200: Cannot read .*{place}\.png"):
            encoder.encode_many(paths)


def test_pillow_is_not_imported_for_arrays():
    code = (
        "import sys, numpy as np; from netdsl.encoders import NetEncoder; "
        "NetEncoder('Image', 5).encode_many(np.zeros((2, 5, 5), np.uint8)); print('PIL.Image' in sys.modules)"
    )
    folder = pathlib.Path(pixels.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    assert done.stdout.strip() == "False"
