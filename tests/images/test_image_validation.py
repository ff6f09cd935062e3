# SPDX-License-Identifier: Apache-2.0
import pytest
import tensorflow as tf

from mixer_tf import images


def test_unusual_but_usable_images_are_kept(bad_folder):
    for name in bad_folder.good:
        kept = images.check((bad_folder.path / name).read_bytes())
        assert images.decode(tf.constant(kept)).shape[-1] == 3


def test_unusable_images_have_a_reason(bad_folder):
    for name, word in bad_folder.bad.items():
        with pytest.raises(images.UnusableImageError, match=word):
            images.check((bad_folder.path / name).read_bytes())


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "WEBP"])
def test_an_image_truncated_at_any_length_is_an_error(make_pixels, encode, image_format):
    encoded = encode(make_pixels(0, 64, 64), image_format)
    for tenth in range(10):
        with pytest.raises(images.UnusableImageError, match="corrupt|truncated|empty|not an image"):
            images.check(encoded[: len(encoded) * tenth // 10])


def test_decodable_images_are_not_changed(make_pixels, encode):
    encoded = encode(make_pixels(0), "JPEG")
    assert images.check(encoded) is encoded
