# SPDX-License-Identifier: Apache-2.0
import io

import pytest
from PIL import Image

from mixer_tf.images import signatures


@pytest.mark.parametrize(
    "image_format",
    ["JPEG", "MPO", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "ICO", "JPEG2000", "PPM", "AVIF"],
)
def test_images_are_recognized(image_format):
    Image.init()
    if image_format not in Image.SAVE:
        pytest.skip(f"this PIL cannot write {image_format}")
    file = io.BytesIO()
    Image.new("RGB", (16, 16), 77).save(file, image_format)
    # A DIB is a BMP without the header that has its signature.
    assert signatures.is_image(file.getvalue()) == (image_format != "DIB")


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_portable_bitmaps_are_recognized(mode):
    file = io.BytesIO()
    Image.new(mode, (16, 16)).save(file, "PPM")
    assert signatures.is_image(file.getvalue())


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"\xff",
        b"<html><body>404",
        b"BMW is the name of a maker of cars and motorcycles",
        b"P5 is a library",
        b"RIFF\x24\x08\x00\x00WAVEfmt ",
        b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2",
        b"\x00\x00\x01\xba",
        b"PK\x03\x04",
        b"{\\rtf1",
        bytes(32),
    ],
)
def test_other_files_are_not(start):
    assert not signatures.is_image(start)
