# SPDX-License-Identifier: Apache-2.0
"""What `mixer dedup` says about its pairs, and about sources that are one another."""

import dataclasses
import pathlib

import numpy as np
import pytest
from PIL import Image

from mixer_tf.datasets import examples
from mixer_tf.datasets.files import make_record


def make_image(seed: int) -> Image.Image:
    """A smooth random image of 48x48 pixels that depends on the seed."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((48, 48), Image.Resampling.BICUBIC)


@pytest.fixture
def folders(tmp_path) -> pathlib.Path:
    """Six training images in "own", and copies of all of them in "web"."""
    for split, first in (("train", 0), ("val", 100), ("test", 200)):
        for index in range(6):
            path = tmp_path / "own" / split / ("cat", "dog")[index % 2] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            make_image(first + index).save(path)
    (tmp_path / "web").mkdir()
    for index in range(6):
        make_image(index).save(tmp_path / f"web/{index}.jpg", quality=80)
    return tmp_path


def run(mixer, folder: pathlib.Path, *arguments: str):
    return mixer("dedup", "--processes=1", f"--out={folder / 'out'}", *arguments)


def test_the_page_and_the_list_of_images_to_keep_are_named_where_there_are_pairs(mixer, folders):
    train = f"--train=folder:{folders / 'own'}"
    result = run(mixer, folders, train)
    assert result.exit_code == 0, result.output
    assert "--keep-duplicates" not in result.output
    result = run(mixer, folders, train, f"--against=web=images:{folders / 'web'}", "--replace")
    (line,) = [line for line in result.output.splitlines() if "--keep-duplicates=FILE" in line]
    assert line.startswith("Look at report.html, the least certain pairs first. If one is wrong, ")


def test_a_list_of_all_training_images_is_said(mixer, folders):
    against = f"--against=web=images:{folders / 'web'}"
    result = run(mixer, folders, f"--train=folder:{folders / 'own'}", against)
    note = "note: all 6 training images are duplicates: is one of the other sets a copy of --train?"
    assert note in result.output.splitlines()


def test_one_folder_as_two_kinds_of_sources_is_one_clear_line(mixer, folders):
    train = f"--train=folder:{folders / 'own'}"
    for against in ("own", "own/test", "."):
        result = run(mixer, folders, train, f"--against=web=images:{folders / against}")
        assert result.exit_code == 1 and result.output.count("\n") == 1
        assert "--against must be another source than --train; got folder:" in result.output
    assert not (folders / "out").exists()


def test_ids_of_several_images_are_noted(mixer, tmp_path, encode):
    seeds = {"train": [0, 1, 2, 200], "eval": [100], "test": [200]}
    for split, found in seeds.items():
        records = [
            dataclasses.replace(
                make_record(encode(make_image(seed), "PNG"), index % 2, "", f"{index // 2}.png"),
                class_name=("cat", "dog")[index % 2],
            )
            for index, seed in enumerate(found)
        ]
        examples.write(records, str(tmp_path / "data"), split, 1)
    keep = tmp_path / "keep.txt"
    train = f"--train=tfrecord:{tmp_path}/data/*/*"
    result = run(mixer, tmp_path, train)
    assert result.exit_code == 0, result.output
    assert f"note: duplicates whose id other images of tfrecord:{tmp_path}" in result.output
    assert "/data/*/* have as well: 1; all files name them as SPLIT:NUMBER:ID" in result.output
    assert "train:3:1.png" in (tmp_path / "out/removed.txt").read_text().splitlines()
    keep.write_text("train:3:1.png\n")
    result = run(mixer, tmp_path, train, f"--keep-duplicates={keep}", "--replace")
    assert "note: kept, because --keep-duplicates lists them: 1\n" in result.output
    assert "no duplicates were found" in result.output
