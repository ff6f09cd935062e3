# SPDX-License-Identifier: Apache-2.0
import glob
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf import features, images
from mixer_tf.datasets import examples, source_writing
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources import opening


def read(folder: str, split: str) -> list[features.ImageRecord]:
    paths = sorted(glob.glob(examples.file_pattern(folder, split)))
    dataset = tf.data.TFRecordDataset(paths)
    return [features.ImageRecord.from_example(item) for item in dataset.as_numpy_iterator()]


def records(number: int) -> list[features.ImageRecord]:
    return [features.ImageRecord(b"x", "PNG", 0, "cat", f"id {i}", 4, 4) for i in range(number)]


def test_records_are_written_to_shards_in_round_robin_order(tmp_path):
    assert examples.write(records(10), str(tmp_path), "train", num_shards=3) == 10
    paths = sorted(glob.glob(examples.file_pattern(str(tmp_path), "train")))
    assert [os.path.basename(path) for path in paths] == [
        f"data_tfrecord-0000{index}-of-00003" for index in range(3)
    ]
    sizes = [sum(1 for _ in tf.data.TFRecordDataset(path)) for path in paths]
    assert sizes == [4, 3, 3]
    assert {record.source for record in read(str(tmp_path), "train")} == {
        f"id {i}" for i in range(10)
    }


def test_an_interrupted_write_leaves_no_files(tmp_path):
    def interrupted():
        yield from records(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        examples.write(interrupted(), str(tmp_path), "train", num_shards=2)
    assert os.listdir(tmp_path / "Split-train") == []


def test_a_shard_is_copied_with_and_without_some_images(tmp_path):
    before, after = str(tmp_path / "before"), str(tmp_path / "after")
    examples.write(records(6), before, "train", num_shards=2)
    first, second = examples.list_shards(before, "train")
    examples.copy_shard(first, after, "train")
    examples.copy_shard_without(second, {0, 2}, after, "train", index=1, num_shards=2)
    copied, reduced = examples.list_shards(after, "train")
    assert [record.source for record in examples.read_records(copied)] == ["id 0", "id 2", "id 4"]
    assert list(examples.read_records(reduced)) == [list(examples.read_records(second))[1]]


def test_usable_images_are_written_and_unusable_ones_are_listed(bad_folder, tmp_path):
    source = opening.open_source(f"folder:{bad_folder.path}")
    num_read = []
    info = source_writing.write_source(source, str(tmp_path), progress=num_read.append)
    written = {split: read(str(tmp_path), split) for split in source.splits}
    paths = {record.source for found in written.values() for record in found}
    assert paths == {str(bad_folder.path / name) for name in bad_folder.good}
    for found in written.values():
        for record in found:
            shape = images.decode(tf.constant(record.encoded)).shape
            assert shape[-1] == 3
            assert {record.width, record.height} == set(shape[:2])
    assert info == DatasetInfo.read(str(tmp_path))
    assert info.examples == {split: len(found) for split, found in written.items()}
    assert info.class_names == ("cat", "dog", "été 夏")
    assert info.notes == ("class folder 'empty class' is empty: ignored",)
    assert num_read[-1] == len(bad_folder.good) + len(bad_folder.bad)

    lines = (tmp_path / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    reasons = {line["source"]: line["reason"] for line in map(json.loads, lines)}
    assert set(reasons) == {str(bad_folder.path / name) for name in bad_folder.bad}
    for name, word in bad_folder.bad.items():
        assert word in reasons[str(bad_folder.path / name)]


def test_converted_images_have_the_pixels_of_the_original(bad_folder, tmp_path, make_pixels):
    source_writing.write_source(opening.open_source(f"folder:{bad_folder.path}"), str(tmp_path))
    found = {r.source: r for split in features.SPLITS for r in read(str(tmp_path), split)}
    webp = found[str(bad_folder.path / "cat/modern.webp")]
    assert webp.format == "PNG"
    np.testing.assert_array_equal(images.decode(tf.constant(webp.encoded)), make_pixels(1))


def test_a_list_with_a_missing_file_and_a_missing_label_is_written(bad_csv, tmp_path):
    with bad_csv.open(encoding="utf-8") as file:
        rows = file.read()
    (tmp_path / "list.csv").write_text(rows + "cat/000.png,\n", encoding="utf-8")
    source_writing.write_source(
        opening.open_source(f"csv:{tmp_path}/list.csv"), str(tmp_path / "out")
    )
    quarantine = (tmp_path / "out/quarantine.jsonl").read_text(encoding="utf-8")
    assert quarantine.count("file not found") == 2


def test_a_source_without_usable_images_is_one_error(unusable_folder, tmp_path):
    source = opening.open_source(f"folder:{unusable_folder}")
    message = "of folder:.* none of 8 is: 6 × empty file, such as .*quarantine.jsonl"
    with pytest.raises(ValueError, match=message):
        source_writing.write_source(source, str(tmp_path))
    assert len((tmp_path / "quarantine.jsonl").read_text().splitlines()) == 12
