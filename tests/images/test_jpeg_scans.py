# SPDX-License-Identifier: Apache-2.0
"""A small JPEG of thousands of scans, which would take minutes to decode, is not decoded."""

import pytest
from PIL import Image

from mixer_tf import images
from mixer_tf.images import jpeg_frames

END = b"\xff\xd9"


@pytest.fixture
def progressive(encode) -> bytes:
    return encode(Image.new("RGB", (64, 64), (10, 200, 30)), "JPEG", progressive=True)


def with_scans(encoded: bytes, more: int, between: bytes = b"") -> bytes:
    """The same image with its last scan repeated."""
    scan = encoded[encoded.rfind(b"\xff\xc4", 0, encoded.rfind(b"\xff\xda")) : -len(END)]
    return encoded[: -len(END)] + (between + scan) * more + END


def test_the_limit_is_exact(progressive):
    scans = progressive.count(b"\xff\xda")
    assert scans == 10  # of libjpeg's usual progression
    most = with_scans(progressive, jpeg_frames.MAX_SCANS - scans)
    assert not jpeg_frames.has_too_many_scans(most)
    assert jpeg_frames.has_too_many_scans(with_scans(progressive, jpeg_frames.MAX_SCANS - 9))


@pytest.mark.parametrize("between", [b"", b"\xff\xfe\x00\x04\xff\xd9", b"\xff\xff"])
def test_a_bomb_is_refused_although_comments_look_like_its_end(progressive, between):
    with pytest.raises(images.UnusableImageError, match="a JPEG of more than 64 scans"):
        images.check(with_scans(progressive, 5000, between))


@pytest.mark.parametrize("where", ["a comment", "behind the image"])
def test_the_same_bytes_elsewhere_are_not_scans(progressive, where):
    noise = b"\xff\xda" * 500
    comment = b"\xff\xfe" + (len(noise) + 2).to_bytes(2, "big") + noise
    is_comment = where == "a comment"
    content = progressive[:2] + comment + progressive[2:] if is_comment else progressive + noise
    assert images.read_header(content).format == "JPEG"
