# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
import tracemalloc

import pytest
from PIL import Image

from mixer_tf import images


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF"])
def test_header_has_format_and_size(make_pixels, encode, image_format):
    encoded = encode(make_pixels(0, height=20, width=30), image_format)
    assert images.read_header(encoded) == images.Header(image_format, width=30, height=20)


def test_a_photograph_with_a_second_image_inside_is_a_jpeg(make_pixels, encode):
    second = Image.fromarray(make_pixels(1))
    encoded = encode(make_pixels(0), "MPO", save_all=True, append_images=[second])
    assert images.read_header(encoded).format == "JPEG"


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b"", "empty file"),
        (b"hello world", "not an image: starts with 'hello world'"),
        (b"\x00\x01\xff", "not an image: starts with"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC, which cannot be read: save it as JPEG"),
        (b"\xff\xd8\xff", "corrupt JPEG: its header cannot be read"),
        (b"\x89PNG\r\n\x1a\n", "corrupt PNG: its header cannot be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    ],
)
def test_bytes_that_are_not_an_image_are_an_error_with_the_reason(encoded, reason):
    with pytest.raises(images.UnusableImageError, match=f"^{reason}"):
        images.read_header(encoded)


def test_every_cut_of_an_image_is_a_header_or_a_reason(make_pixels, encode):
    for image_format in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"):
        encoded = encode(make_pixels(0), image_format)
        for length in range(len(encoded)):
            try:
                assert images.read_header(encoded[:length]).width == 16
            except images.UnusableImageError as error:
                assert str(error)


@pytest.mark.parametrize(
    ("width", "height", "reason"),
    [
        (1, 1, "1x1 pixels: the shorter side must be at least 4"),
        (3, 90, "3x90 pixels: the shorter side must be at least 4"),
        (11_000, 10_000, "11000x10000 pixels: more than 100,000,000"),
        (20_000, 20_000, "more than 100,000,000 pixels"),
    ],
)
def test_sizes_out_of_range_are_an_error(encode, width, height, reason):
    encoded = encode(Image.new("1", (width, height)), "PNG")
    with pytest.raises(images.UnusableImageError, match=reason):
        images.read_header(encoded)


def test_a_decompression_bomb_takes_no_memory(bad_folder):
    encoded = (bad_folder.path / "dog/bomb.png").read_bytes()
    assert len(encoded) < 100_000
    tracemalloc.start()
    with pytest.raises(images.UnusableImageError):
        images.read_header(encoded)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_reading_headers_needs_no_tensorflow():
    code = (
        "import sys; from mixer_tf import images; assert 'PIL' not in sys.modules\n"
        "images.read_header, images.make_decodable; assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_error_for_an_unknown_name_lists_the_names():
    with pytest.raises(AttributeError, match="resize_crop"):
        _ = images.read
