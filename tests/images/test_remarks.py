# SPDX-License-Identifier: Apache-2.0
"""What is odd about an image that can be used: damaged but readable, or of one color only."""

import os
from concurrent import futures

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mixer_tf import images, library_messages
from mixer_tf.datasets import source_writing
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.quarantine import notes_of_remarks
from mixer_tf.datasets.sources import opening
from mixer_tf.images import validation


def damage(jpeg: bytes) -> bytes:
    """A JPEG with bytes between two segments, which decoders skip."""
    return jpeg.replace(b"\xff\xdb", b"\x11\x22\x33\xff\xdb", 1)


@pytest.fixture
def silent(monkeypatch):
    monkeypatch.setenv("MIXER_TF_SILENT", "1")


@pytest.fixture
def loud(monkeypatch):
    """Undoes what tests of commands in this process have set."""
    monkeypatch.delenv("MIXER_TF_SILENT", raising=False)


def test_a_damaged_but_readable_jpeg_becomes_a_png_of_the_same_pixels(
    make_pixels, encode, silent, capfd
):
    exif = Image.Exif()
    exif[0x0112] = 6
    encoded = damage(encode(make_pixels(0, 20, 30), "JPEG", exif=exif))
    checked = images.examine(encoded)
    assert checked.remarks == (validation.DAMAGED,)
    assert images.read_header(checked.encoded) == images.Header("PNG", width=20, height=30)
    assert capfd.readouterr().err == ""
    expected = images.decode(tf.constant(encoded))
    assert "extraneous bytes" in capfd.readouterr().err
    np.testing.assert_array_equal(images.decode(tf.constant(checked.encoded)), expected)
    assert capfd.readouterr().err == ""
    assert images.examine(checked.encoded) == validation.Checked(checked.encoded)


def test_a_damaged_image_in_another_thread_changes_nothing(make_pixels, encode, silent):
    good = [encode(make_pixels(i, 64, 64), "JPEG") for i in range(100)]
    mixed = [encoded for image in good for encoded in (image, damage(image))]
    with futures.ThreadPoolExecutor(4) as threads:
        found = list(threads.map(images.examine, mixed))
    assert [checked.remarks for checked in found[::2]] == [()] * len(good)
    assert [checked.encoded for checked in found[::2]] == good
    assert {checked.remarks for checked in found[1::2]} == {(validation.DAMAGED,)}


def test_messages_of_libraries_are_shown_unless_they_are_silenced(make_pixels, encode, loud, capfd):
    images.check(damage(encode(make_pixels(0), "JPEG")))
    assert "extraneous bytes" in capfd.readouterr().err


def test_a_corrupt_jpeg_is_refused_without_a_message_of_libjpeg(make_pixels, encode, silent, capfd):
    encoded = encode(make_pixels(0, 64, 64), "JPEG", quality=100)
    with pytest.raises(images.UnusableImageError, match="corrupt or truncated JPEG"):
        images.check(encoded[: len(encoded) // 2])
    assert capfd.readouterr().err == ""


def test_stderr_is_the_same_after_a_block_that_captures(loud, capfd):
    for number in range(3):
        with library_messages.capture() as messages:
            os.write(2, b"within\n")
        os.write(2, b"after\n")
        assert messages == ["within\n"], number
    assert capfd.readouterr().err == "within\nafter\n" * 3


def flat_images(encode) -> dict[str, bytes]:
    drawing = np.zeros((16, 16, 4), np.uint8)
    drawing[4:12, 4:12, :3] = 255  # White on transparent black, which is composed over white.
    drawing[4:12, 4:12, 3] = 255
    nearly = np.full((16, 16), 40_000, np.uint16)
    nearly[3:9] += 40
    palette = Image.fromarray(drawing[..., 3] // 255, "P")
    palette.putpalette([0, 0, 0, 255, 255, 255])
    return {
        "png": encode(drawing, "PNG"),
        "gif": encode(palette, "GIF", transparency=0),
        "webp": encode(drawing, "WEBP", lossless=True),
        "16-bit png": encode(Image.fromarray(nearly), "PNG"),
        "16-bit tiff": encode(Image.fromarray(nearly), "TIFF"),
        "palette": encode(palette, "PNG", transparency=0),
    }


@pytest.mark.parametrize("name", ["png", "gif", "webp", "16-bit png", "16-bit tiff", "palette"])
def test_an_image_that_becomes_flat_is_remarked(encode, name):
    checked = images.examine(flat_images(encode)[name])
    assert checked.remarks == (validation.FLAT,)
    pixels = images.decode(tf.constant(checked.encoded)).numpy()
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) == 1


def test_a_drawing_that_stays_one_is_not_remarked(make_pixels, encode):
    for image_format in ("PNG", "GIF", "WEBP", "JPEG", "TIFF", "BMP"):
        assert images.examine(encode(make_pixels(0), image_format)).remarks == ()


def test_a_note_has_a_count_and_an_example():
    remarks = [("odd", "b.png"), ("flat", "c.png"), ("odd", "a\udcff.png")]
    expected = ("images flat: 1 (such as c.png)", "images odd: 2 (such as a�.png)")
    assert notes_of_remarks(remarks) == expected


def test_a_training_notes_odd_images(tmp_path, make_pixels, encode, silent):
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(20):
            jpeg = encode(make_pixels(index), "JPEG")
            jpeg = damage(jpeg) if index % 2 else jpeg
            (tmp_path / "photos" / name / f"{index}.jpg").write_bytes(jpeg)
        (tmp_path / "photos" / name / "flat.png").write_bytes(flat_images(encode)["png"])
    source = opening.open_source(f"folder:{tmp_path}/photos")
    info = source_writing.write_source(source, str(tmp_path / "data"))
    assert [note.partition(" (such as ")[0] for note in info.notes[-2:]] == [
        "images damaged but readable: 20",
        f"images {validation.FLAT}: 2",
    ]
    assert info.notes[-1].endswith("flat.png)")
    assert DatasetInfo.read(str(tmp_path / "data")) == info
