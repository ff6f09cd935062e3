# SPDX-License-Identifier: Apache-2.0
import os

import pytest

from mixer_tf import storage
from mixer_tf.datasets import examples, shards
from mixer_tf.features import ImageRecord


def record(index: int, size: int = 1) -> ImageRecord:
    return ImageRecord(b"x" * size, "PNG", index % 2, "ab"[index % 2], f"id {index}", 4, 4)


@pytest.mark.parametrize(
    ("num_images", "num_bytes", "expected"),
    [(0, 0, 1), (1797, 600_000, 1), (50_000, 110_000_000, 25), (50_000, 5 * 2**30, 40)],
)
def test_number_of_shards_follows_images_and_bytes(num_images, num_bytes, expected):
    assert shards.count_shards(num_images, num_bytes) == expected


@pytest.mark.parametrize("number", [0, 1, 15, 16, 17, 800, 100_000])
def test_groups_hold_every_item_once_and_in_order(number):
    groups = shards.group_items(range(number))
    assert [item for group in groups for item in group] == list(range(number))
    assert all(1 <= len(group) <= 32 for group in groups)
    assert len(groups) >= min(number, 8)


def test_parts_are_within_the_limits_and_get_their_names_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MAX_IMAGES", 3)
    monkeypatch.setattr(shards, "MAX_BYTES", 1000)
    folder = str(tmp_path)
    second = shards.write_parts([record(7), record(8, 990), record(9)], folder, "train", 1)
    first = shards.write_parts(map(record, range(7)), folder, "train", 0)
    assert first.counts == {"a": 4, "b": 3}
    assert examples.list_shards(folder, "train") == []
    for path, name in shards.name_parts([second, first], folder, ["train", "test"]):
        storage.rename_file(path, name)
        storage.rename_file(path, name)  # of another attempt
    paths = examples.list_shards(folder, "train")
    ids = [[int(found.source[3:]) for found in examples.read_records(path)] for path in paths]
    assert ids == [[0, 1, 2], [3, 4, 5], [6], [7, 8], [9]]
    assert os.path.basename(paths[4]) == "data_tfrecord-00004-of-00005"
    (empty,) = examples.list_shards(folder, "test")
    assert os.path.getsize(empty) == 0
    assert sorted(os.listdir(tmp_path / "Split-train")) == sorted(map(os.path.basename, paths))


def test_shards_of_earlier_versions_are_read_and_a_mixture_is_refused(tmp_path):
    import tensorflow as tf

    path = str(tmp_path / "data_tfrecord-00000-of-00001.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        writer.write(record(3).to_example())
    assert list(examples.read_records(path)) == [record(3)]
    assert examples.compression([path]) == "GZIP"
    with pytest.raises(ValueError, match="all compressed or all not; .* has both"):
        examples.compression([path, path[:-3]])
