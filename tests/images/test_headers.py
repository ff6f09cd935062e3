# SPDX-License-Identifier: Apache-2.0
import re
import struct
import subprocess
import sys
import tracemalloc

import pytest
from PIL import Image

from mixer_tf import images
from mixer_tf.images import conversion


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF"])
def test_header_has_format_and_size(make_pixels, encode, image_format):
    encoded = encode(make_pixels(0, height=20, width=30), image_format)
    assert images.read_header(encoded) == images.Header(image_format, width=30, height=20)


def test_a_photograph_with_a_second_image_inside_is_a_jpeg(make_pixels, encode):
    second = Image.fromarray(make_pixels(1))
    encoded = encode(make_pixels(0), "MPO", save_all=True, append_images=[second])
    assert images.read_header(encoded).format == "JPEG"


def test_an_image_whose_header_was_read_is_opened_once(make_pixels, encode, monkeypatch):
    encoded, other = (encode(make_pixels(seed), "JPEG", quality=90) for seed in (0, 1))
    expected = conversion.read_rgb(encoded, 16).tobytes()
    opened, open_file = [], Image.open
    monkeypatch.setattr(
        Image, "open", lambda *args, **kw: opened.append(1) or open_file(*args, **kw)
    )
    images.read_header(encoded)
    assert conversion.read_rgb(encoded, 16).tobytes() == expected and len(opened) == 1
    assert conversion.read_rgb(encoded, 16).tobytes() == expected and len(opened) == 2
    images.read_header(encoded)
    assert conversion.read_rgb(other, 16).tobytes() != expected and len(opened) == 4


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b"", "empty file"),
        (b"hello world", "not an image: starts with 'hello world'"),
        (b"\x00\x01\xff", "not an image: starts with"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "not an image .* but an HEIC image: convert it to PNG"),
        (b"\xff\xd8\xff", "corrupt JPEG: its header cannot be read"),
        (b"\x89PNG\r\n\x1a\n", "corrupt PNG: its header cannot be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    ],
)
def test_bytes_that_are_not_an_image_are_an_error_with_the_reason(encoded, reason):
    with pytest.raises(images.UnusableImageError, match=f"^{reason}"):
        images.read_header(encoded)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"8BPS\0\1", "a Photoshop file (PSD): convert it to PNG or JPEG"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "a Radiance image (HDR): convert"),
        (b"\xff\x0a\xfa\x1f", "a JPEG XL image: convert"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image: convert"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "an HEIC image: convert"),
        (b"II*\0\x10\0\0\0CR\2\0", "a raw photograph of a camera: convert"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "a raw photograph of a camera: convert"),
        (b"FUJIFILMCCD-RAW 0201", "a raw photograph of a camera: convert"),
        (b"%PDF-1.7\n", "a PDF document: convert"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript file (EPS): convert"),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', "a drawing (SVG): convert"),
        (b'<?xml version="1.0"?>\n<!-- a -->\n<svg viewBox="0 0 9 9">', "a drawing (SVG): convert"),
        (b"\n<!DOCTYPE html>\n<html>", "an HTML page: download the image again"),
        (b"\xef\xbb\xbf<html lang=en><svg/>", "an HTML page: download the image again"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied', "an XML document: download"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "a pointer of Git LFS: run `git lfs pull`",
        ),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "a video (MP4, MOV): save frames of it as JPEG"),
        (b"\0\0\0\x14ftypqt  ", "a video (MP4, MOV): save frames"),
        (b"RIFF\x10\0\0\0AVI LIST", "a video (AVI): save frames"),
        (b"\x1aE\xdf\xa3\x01", "a video (MKV, WebM): save frames"),
        (b"PK\3\4\x14\0", "an archive (ZIP, gzip, RAR, 7z): unpack it"),
        (bytes(5000), "a file of zeros: download the image again"),
    ],
)
def test_the_reason_names_what_a_file_is_and_what_to_do(start, name):
    expected = re.escape(f"not an image that can be read, but {name}")
    for encoded in (start, start + b"\0\1\2" * 400):
        if not start.startswith(bytes(5000)) or encoded is start:
            with pytest.raises(images.UnusableImageError, match=f"^{expected}"):
                images.read_header(encoded)


@pytest.mark.parametrize(
    ("name", "head"), [("BMP", b"BM"), ("TIFF", b"II*\0"), ("TIFF", b"MM\0*"), ("ICO", b"\0\0\1\0")]
)
def test_a_corrupt_image_keeps_the_name_of_its_format(name, head):
    with pytest.raises(images.UnusableImageError, match=f"^corrupt {name}: its header cannot"):
        images.read_header(head + b"\xee" * 40)


def test_an_avif_that_is_too_large_is_refused_with_its_size(make_pixels, encode):
    encoded = bytearray(encode(make_pixels(0), "AVIF"))
    at = encoded.index(b"ispe")
    encoded[at + 8 : at + 16] = struct.pack(">II", 40_000, 20_000)
    with pytest.raises(images.UnusableImageError, match="^40000x20000 pixels: more than 100,000,0"):
        images.read_header(bytes(encoded))


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
