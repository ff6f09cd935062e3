# SPDX-License-Identifier: Apache-2.0
"""Recognizes a file by its first bytes: an image, or what else. No TensorFlow, no PIL."""

from __future__ import annotations

import re

# How many bytes of a file `is_image` needs.
SIZE = 32

_STARTS = re.compile(
    rb"\xff\xd8\xff"
    rb"|\x89PNG\r\n\x1a\n"
    rb"|GIF8[79]a"
    # The fifth field of a BMP is the size of its second header.
    rb"|BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00"
    rb"|RIFF.{4}WEBP"
    rb"|II\*\x00|MM\x00\*"
    # ICO: from 1 to 255 images.
    rb"|\x00\x00\x01\x00[^\x00]\x00"
    rb"|\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"
    rb"|.{4}ftyp(?:avif|avis|heic|heix|hevc|mif1|msf1)"
    rb"|P[1-6]\s+(?:#|[0-9])",
    re.DOTALL,
)

_CONVERT = "convert it to PNG or JPEG"
_DOWNLOAD = "download the image again"
_EXTRACT = "save frames of it as JPEG"
# What stands for an image in folders of images, though it is none that can be read: the name and
# what to do. The first match counts.
_OTHERS = tuple(
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), name, advice)
    for pattern, name, advice in (
        (rb"8BP[SB]", "a Photoshop file (PSD)", _CONVERT),
        (rb"gimp xcf", "a GIMP file (XCF)", _CONVERT),
        (rb"#\?R(?:ADIANCE|GBE)", "a Radiance image (HDR)", _CONVERT),
        (rb"v/1\x01", "an OpenEXR image (EXR)", _CONVERT),
        (rb"\xff\n|\x00\x00\x00\x0cJXL ", "a JPEG XL image", _CONVERT),
        (rb"II\xbc", "a JPEG XR image", _CONVERT),
        (rb".{4}ftyp(?:hei[cxms]|hev[cx]|mif1|msf1)", "an HEIC image", _CONVERT),
        (rb"DDS |qoif|\x8aMNG|BPG\xfb|FLIF|icns", "an image of a rare format", _CONVERT),
        (rb"AT&TFORM", "a DjVu document", _CONVERT),
        (rb"\xd7\xcd\xc6\x9a|\x01\x00\x00\x00.{36} EMF", "a Windows metafile (WMF, EMF)", _CONVERT),
        (rb".{128}DICM", "a medical image (DICOM)", _CONVERT),
        (rb"SIMPLE  =", "an astronomical image (FITS)", _CONVERT),
        (
            rb"II\*\x00.{4}CR|.{4}ftypcrx|IIRO|IIRS|MMOR|IIU\x00|FUJIFILM|FOVb|\x00MRM",
            "a raw photograph of a camera",
            _CONVERT,
        ),
        (rb"%PDF", "a PDF document", _CONVERT),
        (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript file (EPS)", _CONVERT),
        (
            rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml.*|<!--.*|<!doctype svg.*)?<svg",
            "a drawing (SVG)",
            _CONVERT,
        ),
        (
            rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*-->\s*)?<(?:!doctype html|html|head|body)",
            "an HTML page",
            _DOWNLOAD,
        ),
        (rb"(?:\xef\xbb\xbf)?\s*<\?xml", "an XML document", _DOWNLOAD),
        (rb"version https://git-lfs", "a pointer of Git LFS", "run `git lfs pull`"),
        (rb".{4}ftyp(?!avi[fs])|.{4}(?:moov|mdat|wide|free)", "a video (MP4, MOV)", _EXTRACT),
        (rb"RIFF.{4}AVI ", "a video (AVI)", _EXTRACT),
        (rb"\x1aE\xdf\xa3", "a video (MKV, WebM)", _EXTRACT),
        (rb"\x00\x00\x01[\xba\xb3]|FLV\x01|0&\xb2u", "a video (MPEG, FLV, WMV)", _EXTRACT),
        (rb"RIFF.{4}WAVE|ID3|OggS|fLaC", "a sound file", "remove it"),
        (rb"PK\x03\x04|\x1f\x8b|Rar!|7z\xbc\xaf", "an archive (ZIP, gzip, RAR, 7z)", "unpack it"),
        (rb"\x93NUMPY|\x89HDF", "an array (NumPy, HDF5)", "save it as PNG"),
        (rb"\x00+$", "a file of zeros", _DOWNLOAD),
    )
)
# Images that can be read, if they are not corrupt or of a rare kind.
_IMAGES = (
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"RIFF", "WEBP"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\1\0", "ICO"),
)
_DESCRIBED_BYTES = 1024


def describe_other(encoded: bytes) -> str:
    """Returns what a file is that is not an image of a known format, and what to do; or "".

    Such as "a Photoshop file (PSD): convert it to PNG or JPEG".
    """
    start = encoded[:_DESCRIBED_BYTES]
    for pattern, name, advice in _OTHERS:
        if pattern.match(start):
            return f"{name}: {advice}"
    return ""


def format_of(encoded: bytes) -> str:
    """Returns the name of the format of an image by its signature, such as "TIFF"; or ""."""
    if encoded[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    return next((name for start, name in _IMAGES if encoded.startswith(start)), "")


def is_image(start: bytes) -> bool:
    """Whether a file that starts with these bytes is an image of a common format.

    JPEG, PNG, GIF, BMP, WebP, TIFF, ICO, JPEG 2000, AVIF, HEIC and PPM are recognized. A raw
    photograph may start like a TIFF, and a TGA has no signature.
    """
    return _STARTS.match(start[:SIZE]) is not None
