# SPDX-License-Identifier: Apache-2.0
"""The list of images to keep: what a user copies from the report is what is read."""

import os
import pathlib

import pytest

from mixer_tf.deduplication import kept_images, report
from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.matching import COPY, Match
from mixer_tf.deduplication.removals import Removal


def read(folder: pathlib.Path, content: str | bytes) -> frozenset[str]:
    path = folder / "keep.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return kept_images.read(str(path))


def test_paths_and_lines_of_the_report_are_read(tmp_path):
    names = ["/a b/ä.png", "#x.png", "{.png", "two\nlines.png", "\u2028 .png", "café\udce9.png"]
    images = [ImageId("train", name, "cat", "shard", 0) for name in names]
    other = ImageId("test", "/other.png", "cat", "shard", 0)
    lines = [report.to_line(Removal(Match(i, other, 0.1, COPY), ("test",))) for i in images]
    expected = {*names[:-1], "café\N{REPLACEMENT CHARACTER}.png"}
    assert read(tmp_path, "\n".join(lines)) == expected
    assert read(tmp_path, "\ufeff# a comment\r\n  /a b/ä.png\t\r\n\r\nid-17\r\n") == {
        *("/a b/ä.png", "id-17")
    }
    assert read(tmp_path, "") == frozenset()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("/a.png\n{'image': 1}\n", r"line 2 of .*keep.txt is neither: \"\{'image': 1\}\""),
        ('{"image": {"source": "/a.p', "line 1 of .* Copy the whole line"),
        ('{"images": [{"source": "a"}]}', "line 1"),
        ('{"image": "a.png"}', "line 1"),
        ('{"image": {"source": 3}}', "line 1"),
        ('{"image": {"source": ""}}', "line 1"),
        ('{"a":' * 100_000, "line 1"),
        (b"\xff\xfea\0", "must be UTF-8"),
        ("a\0b", "has NUL bytes"),
    ],
)
def test_a_damaged_list_is_one_clear_error(content, message, tmp_path):
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, content)
    assert len(str(caught.value)) < 400


def test_only_a_regular_file_of_a_sensible_size_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", kept_images.MAX_BYTES + 1)
    for name in ("missing", "pipe", "."):
        with pytest.raises(ValueError, match="must be an existing file"):
            kept_images.read(str(tmp_path / name))
    with pytest.raises(ValueError, match="at most 256 MB"):
        kept_images.read(str(tmp_path / "large"))
    with pytest.raises(ValueError, match="existing file; got '/dev/zero'"):
        kept_images.read("/dev/zero")
