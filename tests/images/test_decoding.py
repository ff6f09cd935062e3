# SPDX-License-Identifier: Apache-2.0
import io
import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mixer_tf import images


def decode(encoded: bytes) -> np.ndarray:
    return images.decode(tf.constant(encoded)).numpy()


def decode_with_pil(encoded: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))


@pytest.mark.parametrize(
    ("quality", "subsampling", "progressive"),
    itertools.product((30, 75, 95), ("4:4:4", "4:2:2", "4:2:0"), (False, True)),
)
def test_jpeg_equals_pil_bit_for_bit(make_pixels, encode, quality, subsampling, progressive):
    options = {"quality": quality, "subsampling": subsampling, "progressive": progressive}
    encoded = encode(make_pixels(0, 43, 61), "JPEG", **options)
    np.testing.assert_array_equal(decode(encoded), decode_with_pil(encoded))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_opaque_png_of_every_mode_equals_pil(make_pixels, encode, mode):
    encoded = encode(Image.fromarray(make_pixels(0, 20, 30)).convert(mode), "PNG")
    np.testing.assert_array_equal(decode(encoded), decode_with_pil(encoded))


def test_gray_jpeg_has_three_equal_channels(make_pixels, encode):
    encoded = encode(Image.fromarray(make_pixels(0)).convert("L"), "JPEG")
    np.testing.assert_array_equal(decode(encoded), decode_with_pil(encoded))


@pytest.mark.parametrize("quality", [50, 95])
def test_cmyk_jpeg_equals_pil_within_one(make_pixels, encode, quality):
    encoded = encode(Image.fromarray(make_pixels(0)).convert("CMYK"), "JPEG", quality=quality)
    difference = decode(encoded).astype(int) - decode_with_pil(encoded)
    assert np.abs(difference).max() <= 1


def test_16_bit_png_keeps_the_high_byte(encode):
    deep = np.random.default_rng(0).integers(0, 2**16, (9, 7), dtype=np.uint16)
    decoded = decode(encode(Image.fromarray(deep), "PNG"))
    np.testing.assert_array_equal(decoded, np.repeat((deep >> 8)[..., None], 3, -1))


def test_the_first_frame_of_an_animation_is_decoded(make_pixels, encode):
    frames = [Image.fromarray(make_pixels(seed)).quantize(32) for seed in range(3)]
    encoded = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(encoded), np.asarray(frames[0].convert("RGB")))


def test_bmp_is_decoded(make_pixels, encode):
    np.testing.assert_array_equal(decode(encode(make_pixels(0), "BMP")), make_pixels(0))


@pytest.mark.parametrize("encoded", [b"", b"hello", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"])
def test_bytes_that_are_not_an_image_are_an_invalid_argument(encoded):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(encoded)


def test_decode_works_in_a_graph_over_a_batch(make_pixels, encode):
    batch = [encode(make_pixels(0), "PNG"), encode(make_pixels(1), "JPEG", quality=95)]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def decode_batch(encoded):
        return tf.map_fn(images.decode, encoded, fn_output_signature=tf.uint8)

    decoded = decode_batch(tf.constant(batch)).numpy()
    np.testing.assert_array_equal(decoded[0], make_pixels(0))
    np.testing.assert_array_equal(decoded[1], decode_with_pil(batch[1]))


def test_decode_works_in_a_dataset_and_keeps_the_channels_static(make_pixels, encode):
    dataset = tf.data.Dataset.from_tensors(encode(make_pixels(0), "PNG")).map(images.decode)
    assert dataset.element_spec == tf.TensorSpec([None, None, 3], tf.uint8)
    np.testing.assert_array_equal(next(iter(dataset)), make_pixels(0))
