# SPDX-License-Identifier: Apache-2.0
"""The state of a work item changes with its own files, and with what decides its images."""

import dataclasses
import os

import pytest

from mixer_tf.datasets import source_writing, splits, work_items
from mixer_tf.datasets.sources import tfds
from mixer_tf.datasets.sources.opening import open_source
from mixer_tf.datasets.sources.source import Source


def signatures(source: Source) -> dict[str, str]:
    items = work_items.list_pieces(source, source.splits)
    return {repr(item): work_items.signature(source, item) for item in items}


def touch(path) -> None:
    os.utime(path, ns=(1, 1))


def test_only_the_work_items_of_a_changed_file_change(tmp_path, write_image_folder):
    write_image_folder(tmp_path, per_class=80)
    source = open_source(f"folder:{tmp_path}")
    before = signatures(source)
    assert signatures(open_source(f"folder:{tmp_path}")) == before and len(before) > 3
    touch(tmp_path / "cat" / "000.png")
    after = signatures(source)
    (changed,) = [item for item in before if before[item] != after[item]]
    assert "cat/000.png" in changed


def test_the_names_of_the_classes_count(image_folder):
    source = open_source(f"folder:{image_folder}")
    renamed = dataclasses.replace(source, class_names=("cat", "hound"))
    assert not set(signatures(source).values()) & set(signatures(renamed).values())


def test_a_csv_file_and_a_tfrecord_file_count_by_themselves(image_folder, tmp_path):
    folder = open_source(f"folder:{image_folder}")
    source_writing.write_source(folder, str(tmp_path))
    source = open_source(f"tfrecord:{tmp_path}/Split-*/*")
    before = signatures(source)
    touch(next(tmp_path.glob("Split-test/*")))
    after = signatures(source)
    assert sum(before[item] != after[item] for item in before) == 1
    other_rule = dataclasses.replace(source.reader, rule=splits.HoldOut((("test", 0.3),)))
    held_out = signatures(dataclasses.replace(source, reader=other_rule))
    assert not set(held_out.values()) & set(after.values())


def test_large_shards_of_tfds_are_read_in_pieces(monkeypatch):
    monkeypatch.setattr(work_items, "_MAX_IMAGES", 40)
    shards = {
        "train": [tfds.Shard("train", 0, 100, "train"), tfds.Shard("train", 100, 130, "eval")]
    }
    source = Source("tfds:x", ("a",), shards, iter, lambda: ["state"])
    pieces = work_items.list_pieces(source, ["train"])
    assert [(piece.first, piece.end, piece.split) for piece in pieces] == [
        *((0, 40, "train"), (40, 80, "train"), (80, 100, "train"), (100, 130, "eval"))
    ]
    assert len({work_items.signature(source, piece) for piece in pieces}) == 4
    changed = dataclasses.replace(source, file_signatures=lambda: ["another state"])
    assert work_items.signature(source, pieces[0]) != work_items.signature(changed, pieces[0])


@pytest.mark.parametrize("split", ["train", "test"])
def test_pieces_hold_the_images_of_the_split(split):
    source = open_source("digits")
    read = [
        r.source for piece in work_items.list_pieces(source, [split]) for r in source.read(piece)
    ]
    assert read == [r.source for shard in source.shards_of(split) for r in source.read(shard)]
