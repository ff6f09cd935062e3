# SPDX-License-Identifier: Apache-2.0
import re

import numpy as np
from click.testing import CliRunner
from PIL import Image

from benchmarks.deduplication import copies, look_alikes, scale
from benchmarks.deduplication.__main__ import main


def test_copies_of_one_seed_are_equal_and_of_another_seed_are_not(photo):
    small = photo.convert("RGB").resize((160, 120))
    first, again, other = (dict(copies.make_copies(small, seed)) for seed in (3, 3, 4))
    assert first == again
    changed = {kind for kind in first if first[kind] != other[kind]}
    assert {"noise 5", "logo", "crop of random sides"} <= changed
    assert "JPEG 90" not in changed


def test_look_alikes_of_a_set_are_different_images():
    for name, encoded in look_alikes.make_sets(3):
        assert len(set(encoded)) == 3, name


def test_tables_have_every_kind_and_set(tmp_path, photo):
    photo.convert("RGB").save(tmp_path / "photo.jpg")
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((320, 240)).save(tmp_path / "other.png")
    arguments = [f"--photos={tmp_path}", "--limit=2", "--look-alikes=6"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    rows = dict(re.findall(r"^(\S.*?) {2,}(\S+)", result.output, re.MULTILINE))
    assert rows["all: edit"] == "100.0%"
    assert rows["all: turned"] == rows["turned 90"] == "100.0%"
    assert rows["false pairs"] == "0"
    assert rows["solid colors"] == "0.0%"


def test_a_folder_without_photographs_is_an_error(tmp_path):
    result = CliRunner().invoke(main, [f"--photos={tmp_path}"])
    assert "must be a folder with photographs" in result.output


def test_times_of_a_large_set_are_linear_in_both_numbers():
    arguments = ["--against=60", "--sample=8", "--within", "--train=300"]
    result = CliRunner().invoke(scale.main, arguments, catch_exceptions=False)
    rows = re.findall(r"^(?:against|within).*? {2,}([\d,]+) ", result.output, re.MULTILINE)
    assert len(rows) == 2
    assert all(int(pairs.replace(",", "")) > 0 for pairs in rows)
    images = scale._make_images("train", range(300), 300)
    np.testing.assert_array_equal(
        images.thumbnails[256:], scale._make_images("train", range(256, 300), 300).thumbnails
    )
