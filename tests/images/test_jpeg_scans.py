# SPDX-License-Identifier: Apache-2.0
"""A small JPEG of thousands of scans, which would take minutes to decode, is not decoded."""

import random
import time

import pytest
import tensorflow as tf
from PIL import Image

from mixer_tf import images
from mixer_tf.images import jpeg_frames
from mixer_tf.images.scans import assert_few_scans

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


@pytest.fixture(scope="module")
def is_refused():
    """Whether the check of a served model refuses an image, and no others beside it."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def check(encoded):
        with tf.control_dependencies([assert_few_scans(encoded)]):
            return tf.identity(encoded)

    def refuse(encoded: bytes) -> bool:
        others = [b"", b"\xff\xda" * 100]  # the latter is not a JPEG
        check(tf.constant(others))
        try:
            check(tf.constant([*others, encoded]))
        except tf.errors.InvalidArgumentError as error:
            assert "a JPEG must have at most 64 scans, and 10,000 segments" in error.message
            assert "at these positions:] [2]" in error.message
            return True
        return False

    return refuse


@pytest.mark.parametrize("between", [b"", b"\xff\xfe\x00\x04\xff\xd9", b"\xff\xff"])
def test_a_served_model_refuses_a_bomb(progressive, between, is_refused):
    most = with_scans(progressive, jpeg_frames.MAX_SCANS - 10, between)
    assert not is_refused(most)
    start = time.process_time()
    assert is_refused(with_scans(progressive, 5000, between))
    assert time.process_time() - start < 5


def test_the_graph_follows_markers_as_the_check_before_training_does(progressive, is_refused):
    """Scans between random segments, some of which look like scans or like the end."""
    rng = random.Random(0)
    found = []
    for _ in range(60):
        scan = with_scans(progressive, 1)[len(progressive) - len(END) : -len(END)]
        parts = []
        for _ in range(rng.randrange(30, 80)):
            noise = rng.choice([b"\xff\xda", b"\xff\xd9", b"\x00", b"\xff"]) * rng.randrange(3)
            size = len(noise) + rng.choice([2, 2, 2, 2, 3])  # some skip a byte of the next marker
            parts.append(b"\xff\xfe" + size.to_bytes(2, "big") + noise + b"\xff" * rng.randrange(2))
            parts.append(scan)
        encoded = progressive[: -len(END)] + b"".join(parts) + rng.choice([b"", END])
        encoded += b"\xff\xda" * rng.randrange(100)
        encoded = encoded[: len(encoded) - rng.randrange(4)]
        found.append(jpeg_frames.has_too_many_scans(encoded))
        assert is_refused(encoded) == found[-1]
    assert 10 < sum(found) < 50


def test_many_segments_that_look_like_scans_are_refused(progressive, is_refused):
    comment = b"\xff\xfe\x00\x04\xff\xda"
    few = progressive[:2] + comment * 9_000 + progressive[2:]
    many = progressive[:2] + comment * 10_001 + progressive[2:]
    assert not jpeg_frames.has_too_many_scans(few) and jpeg_frames.has_too_many_scans(many)
    assert not is_refused(few) and is_refused(many)
