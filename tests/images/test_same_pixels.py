# SPDX-License-Identifier: Apache-2.0
"""What training accepts, the served decoder sees with the same pixels as PIL, or refuses."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, PngImagePlugin

from mixer_tf import images
from mixer_tf.images import thumbnails


def over_white(encoded: bytes) -> np.ndarray:
    """The first frame over white, computed in exact integers from PIL's RGBA."""
    image = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGBA")).astype(int)
    color, alpha = image[..., :3], image[..., 3:]
    return np.round((color * alpha + 255 * (255 - alpha)) / 255).astype(np.uint8)


decode = tf.function(images.decode, input_signature=[tf.TensorSpec([], tf.string)])


def serve(encoded: bytes) -> np.ndarray:
    return decode(tf.constant(encoded)).numpy()


def train(encoded: bytes) -> np.ndarray:
    return serve(images.check(encoded))


def assert_refused(encoded: bytes, rule: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=rule):
        serve(encoded)


def make_image(make_pixels, mode: str) -> Image.Image:
    pixels = make_pixels(0, 20, 30)
    if mode == "RGBA":
        alpha = np.random.default_rng(0).integers(0, 256, (20, 30, 1), dtype=np.uint8)
        return Image.fromarray(np.concatenate([pixels, alpha], -1))
    if mode == "P":
        return Image.fromarray(pixels).quantize(16)
    if mode == "LA":
        return make_image(make_pixels, "RGBA").convert("LA")
    return Image.fromarray(pixels).convert(mode)


def make_drawing(encode, image_format: str) -> bytes:
    """A black square on a transparent ground that is black, too."""
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[4:12, 4:12, 3] = 255
    if image_format != "GIF":
        return encode(pixels, image_format, lossless=True)
    image = Image.fromarray(pixels[..., 3] // 255, "P")
    image.putpalette([0, 0, 0, 0, 0, 0])
    return encode(image, "GIF", transparency=0)


@pytest.mark.parametrize(
    ("mode", "transparency"),
    [
        ("1", None),
        ("1", 0),
        ("L", None),
        ("L", 100),
        ("P", None),
        ("P", 3),
        ("P", bytes(range(0, 240, 15))),
        ("RGB", None),
        ("RGB", "first"),
        ("LA", None),
        ("RGBA", None),
    ],
)
def test_png_of_every_mode_is_composed_over_white(make_pixels, encode, mode, transparency):
    image = make_image(make_pixels, mode)
    transparency = image.getpixel((0, 0)) if transparency == "first" else transparency
    options = {} if transparency is None else {"transparency": transparency}
    encoded = encode(image, "PNG", **options)
    np.testing.assert_array_equal(serve(encoded), over_white(encoded))
    assert images.check(encoded) is encoded


def test_the_word_trns_in_a_text_is_not_transparency(make_pixels, encode):
    text = PngImagePlugin.PngInfo()
    text.add_text("tRNS", "tRNS")
    encoded = encode(make_image(make_pixels, "P"), "PNG", pnginfo=text)
    assert encoded.count(b"tRNS") == 2
    np.testing.assert_array_equal(serve(encoded), over_white(encoded))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
@pytest.mark.parametrize("is_interlaced", [False, True])
@pytest.mark.parametrize("transparency", [None, 0, 1])
def test_gif_is_composed_over_white(make_pixels, encode, mode, is_interlaced, transparency):
    options = {} if transparency is None else {"transparency": transparency}
    encoded = encode(make_image(make_pixels, mode), "GIF", interlace=is_interlaced, **options)
    np.testing.assert_array_equal(serve(encoded), over_white(encoded))
    np.testing.assert_array_equal(train(encoded), over_white(encoded))


@pytest.mark.parametrize("transparency", [None, 2])
def test_white_surrounds_a_gif_frame_that_is_smaller_than_the_screen(
    make_pixels, encode, transparency
):
    options = {} if transparency is None else {"transparency": transparency}
    frame = encode(make_image(make_pixels, "P"), "GIF", **options)
    at = frame.index(b"," + struct.pack("<HHHH", 0, 0, 30, 20))
    moved = struct.pack("<HHHH", 5, 2, 30, 20)
    encoded = frame[:6] + struct.pack("<HH", 50, 40) + frame[10 : at + 1] + moved + frame[at + 9 :]
    expected = np.full((40, 50, 3), 255, np.uint8)
    expected[2:22, 5:35] = over_white(frame)
    np.testing.assert_array_equal(serve(encoded), expected)
    np.testing.assert_array_equal(train(encoded), expected)


def test_only_the_first_frame_of_an_animation_is_decoded(make_pixels, encode):
    frames = [Image.fromarray(make_pixels(seed, 20, 30)).quantize(32) for seed in range(3)]
    encoded = encode(frames[0], "GIF", save_all=True, append_images=frames[1:], loop=0)
    second = encoded.index(b"\x21\xf9", encoded.index(b",\0\0\0\0"))
    for animation in (encoded, encoded[: second + 40]):  # A corrupt second frame is not read.
        np.testing.assert_array_equal(serve(animation), np.asarray(frames[0].convert("RGB")))
        np.testing.assert_array_equal(train(animation), np.asarray(frames[0].convert("RGB")))


def test_a_gif_frame_beyond_the_screen_is_refused_by_the_served_decoder(make_pixels, encode):
    encoded = encode(make_image(make_pixels, "P"), "GIF")
    assert_refused(encoded[:6] + struct.pack("<HH", 16, 16) + encoded[10:], "within its logical")


def test_every_cut_of_a_gif_is_refused(make_pixels, encode):
    encoded = encode(make_pixels(0), "GIF")
    for length in range(0, len(encoded) - 2, 7):
        with pytest.raises(tf.errors.InvalidArgumentError):
            serve(encoded[:length])


def make_bmp(bits: int, compression: int = 0, header_size: int = 40) -> bytes:
    """A BMP of 4 x 8 pixels, all zero, with a palette of two colors."""
    info = struct.pack("<IiiHHIIiiII", header_size, 4, 8, 1, bits, compression, 0, 0, 0, 2, 0)
    palette = bytes([1, 2, 3, 0, 4, 5, 6, 0])
    start = 14 + header_size + len(palette)
    pixels = bytes(8 * ((4 * bits + 31) // 32 * 4))
    head = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    return head + info.ljust(header_size, b"\0") + palette + pixels


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA"])
def test_bmp_has_the_same_pixels_in_training_and_serving(make_pixels, encode, mode):
    encoded = encode(make_image(make_pixels, mode), "BMP")
    expected = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    np.testing.assert_array_equal(serve(encoded), expected)
    np.testing.assert_array_equal(train(encoded), expected)


@pytest.mark.parametrize("header_size", [40, 108, 124])
def test_a_bmp_palette_is_used(header_size):
    np.testing.assert_array_equal(serve(make_bmp(8, 0, header_size))[0, 0], [3, 2, 1])


@pytest.mark.parametrize(
    "encoded",
    [
        make_bmp(1),
        make_bmp(4),
        make_bmp(16),
        make_bmp(8, compression=1),
        make_bmp(16, compression=3),
        make_bmp(32, compression=3),
        make_bmp(24, compression=4),
        make_bmp(24, header_size=12 + 28)[:14] + struct.pack("<I", 12) + make_bmp(24)[18:],
    ],
)
def test_other_bmps_are_refused_by_the_served_decoder(encoded):
    assert_refused(encoded, "a BMP must be uncompressed, with 8, 24 or 32 bits per pixel")


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "GIF"])
def test_a_transparent_drawing_stays_a_drawing(encode, image_format):
    encoded = make_drawing(encode, image_format)
    expected = np.full((16, 16, 3), 255)
    expected[4:12, 4:12] = 0
    np.testing.assert_array_equal(train(encoded), expected)
    thumbnail = thumbnails.make_thumbnail(encoded, 16)
    np.testing.assert_array_equal(thumbnail[..., 0], expected[..., 0])
    preview = Image.open(io.BytesIO(thumbnails.make_preview(encoded, 16)))
    assert np.abs(np.asarray(preview).astype(int) - expected).max() < 20


@pytest.mark.parametrize("image_format", ["WEBP", "TIFF", "AVIF"])
def test_converted_formats_are_composed_over_white(make_pixels, encode, image_format):
    encoded = encode(make_image(make_pixels, "RGBA"), image_format)
    np.testing.assert_array_equal(train(encoded), over_white(encoded))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_16_bit_png_that_uses_only_low_bits_is_refused(channels):
    values = np.random.default_rng(0).integers(0, 4096, (9, 7, channels), dtype=np.uint16)
    if channels % 2 == 0:
        values[..., -1] = 65535
    encoded = tf.io.encode_png(values).numpy()
    with pytest.raises(images.UnusableImageError, match="16-bit channels must use their range"):
        images.check(encoded)
    assert_refused(encoded, "16-bit channels must use their range")
    scaled = values.copy()
    scaled[..., : channels - 1 + channels % 2] *= 16
    train(tf.io.encode_png(scaled).numpy())


def test_a_16_bit_tiff_that_uses_only_low_bits_is_refused(encode):
    values = np.random.default_rng(0).integers(0, 4096, (9, 7), dtype=np.uint16)
    with pytest.raises(images.UnusableImageError, match="16-bit channels must use their range"):
        images.check(encode(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize(("largest", "name"), [(4095, b"P5"), (65535, b"P5"), (4095, b"P6")])
def test_a_16_bit_pgm_is_scaled_by_the_range_that_it_states(largest, name):
    shape = (9, 7, 3) if name == b"P6" else (9, 7)
    values = np.random.default_rng(0).integers(0, largest + 1, shape)
    encoded = name + b"\n7 9\n%d\n" % largest + values.astype(">u2").tobytes()
    expected = np.broadcast_to(values.reshape(9, 7, -1) / largest * 255, (9, 7, 3))
    assert np.abs(train(encoded) - expected).max() <= 1


def test_a_gif_without_a_screen_is_refused(make_pixels, encode):
    encoded = encode(make_image(make_pixels, "P"), "GIF")
    for screen in (struct.pack("<HH", 0, 20), struct.pack("<HH", 30, 0), bytes(4)):
        broken = encoded[:6] + screen + encoded[10:]
        with pytest.raises(images.UnusableImageError, match="logical screen has no pixels"):
            images.check(broken)
        with pytest.raises(tf.errors.InvalidArgumentError, match="at most 100,000,000 pixels"):
            serve(broken)
