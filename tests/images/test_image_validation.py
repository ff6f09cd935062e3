# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf import images
from mixer_tf.images import validation


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


@pytest.fixture
def many(make_pixels, encode) -> list[bytes]:
    """Images that are stored as they are, enough of each format to be decoded in one graph."""
    kinds = [("JPEG", {}), ("PNG", {}), ("JPEG", {"progressive": True})]
    return [
        encode(make_pixels(seed, 20 + seed, 30), image_format, **options)
        for seed in range(validation._MANY)
        for image_format, options in kinds
    ]


def examined(encoded: bytes) -> tuple:
    """Bytes and remarks, or the reason, of one image."""
    try:
        return as_tuple(images.examine(encoded))
    except images.UnusableImageError as error:
        return as_tuple(error)


def as_tuple(found) -> tuple:
    is_error = isinstance(found, images.UnusableImageError)
    return (str(found),) if is_error else (found.encoded, found.remarks)


def test_many_images_give_what_each_of_them_gives(many, bad_folder, make_pixels, encode):
    flat = np.full((20, 20, 3), 7, np.uint8)
    transparent = np.dstack([make_pixels(1), np.full((16, 16), 9, np.uint8)])
    low = np.full((20, 20), 3, np.uint16)
    odd = [
        *((bad_folder.path / name).read_bytes() for name in [*bad_folder.good, *bad_folder.bad]),
        *(encode(each, "PNG") for each in (flat, transparent, low)),
        encode(flat, "JPEG"),
        many[0].replace(b"\xff\xdb", b"\x11\x22\x33\xff\xdb", 1),  # damaged but readable
        *(each[: len(each) * 3 // 4] for each in many[:3]),
    ]
    for batch in (many, [*many, odd[0]], [*odd, *many], odd, []):
        found = images.examine_all(batch)
        assert [as_tuple(each) for each in found] == [examined(each) for each in batch]


def test_only_a_batch_with_a_problem_is_examined_one_by_one(many, encode, monkeypatch):
    single, flat = [], encode(np.full((20, 20, 3), 7, np.uint8), "PNG")
    monkeypatch.setattr(validation, "examine", lambda each: single.append(each) or each)
    found = images.examine_all([*many, flat])
    assert not single and found[-1].remarks == (validation.FLAT,)
    images.examine_all([*many, many[0][:-20]])
    assert len(single) == 2 * validation._MANY + 1  # every JPEG, and no PNG
