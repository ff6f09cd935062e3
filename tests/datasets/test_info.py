# SPDX-License-Identifier: Apache-2.0
import csv
import json
import pathlib

import pytest
import tensorflow as tf

from mixer_tf.datasets import source_writing
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources import opening


def info_of(train: dict[str, int], class_names=("cat", "dog", "cow")) -> DatasetInfo:
    return DatasetInfo("folder:/x", tuple(class_names), {"train": train, "test": {"cow": 3}})


def test_classes_without_or_with_one_training_image_are_noted():
    assert info_of({"cat": 2, "dog": 2, "cow": 2}).notes_of_classes == ()
    assert info_of({"cat": 2, "": 7, "dog": 1}).notes_of_classes == (
        "classes without a training image: 1 ('cow')",
        "classes with a single training image: 1 ('dog')",
    )
    assert info_of({}).notes_of_classes == ()


def test_a_few_of_many_names_are_shown_without_line_breaks():
    names = [f"class\n{number}" for number in range(1000, 3000)]
    (note,) = info_of({names[0]: 2}, names).notes_of_classes
    assert note == (
        "classes without a training image: 1,999 ("
        "'class\\n1001', 'class\\n1002', 'class\\n1003', 'class\\n1004', 'class\\n1005', …)"
    )


CONTENT = {"source": "digits", "class_names": ["0"], "counts": {"train": {"0": 2}}, "notes": []}


def test_the_file_of_a_dataset_is_read(tmp_path):
    (tmp_path / "dataset.json").write_text(json.dumps(CONTENT))
    expected = DatasetInfo("digits", ("0",), {"train": {"0": 2}})
    assert DatasetInfo.read(str(tmp_path)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", '{"name": "pets", "version": 2}'),
        *(json.dumps({k: v for k, v in CONTENT.items() if k != name}) for name in CONTENT),
        *(json.dumps({**CONTENT, name: 7}) for name in ("class_names", "counts", "notes", "more")),
        *(json.dumps({**CONTENT, "class_names": names}) for names in ("cat", [0, 1], None)),
        json.dumps({**CONTENT, "counts": {"train": 3}}),
    ],
)
def test_a_file_of_another_program_is_one_clear_error(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(ValueError, match="dataset.json must be JSON with the fields") as raised:
        DatasetInfo.read(str(tmp_path))
    assert str(raised.value) == (
        "dataset.json must be JSON with the fields source, class_names, counts, notes; "
        f"{tmp_path}/dataset.json is not. If another program wrote it, move it to another folder; "
        "otherwise write the dataset again."
    )


def write_csv(folder: pathlib.Path, rows: list[tuple[str, str, str]]) -> str:
    with open(folder / "list.csv", "w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    return f"csv:{folder}/list.csv"


def write_tfrecords(folder: pathlib.Path, rows: list[tuple[str, str, str]]) -> str:
    def feature(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    for split in ("train", "val", "test"):
        with tf.io.TFRecordWriter(f"{folder}/{split}.tfrecord") as writer:
            for path, label, found in rows:
                if found == split:
                    values = {"image": (folder / path).read_bytes(), "label": label.encode()}
                    features = tf.train.Features(feature={k: feature(v) for k, v in values.items()})
                    writer.write(tf.train.Example(features=features).SerializeToString())
    return f"tfrecord:{folder}/*.tfrecord"


def write_folder(folder: pathlib.Path, rows: list[tuple[str, str, str]]) -> str:
    for path, label, split in rows:
        target = folder / "tree" / split / label / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((folder / path).read_bytes())
    return f"folder:{folder}/tree"


@pytest.mark.parametrize("write", [write_csv, write_tfrecords, write_folder])
def test_every_kind_of_source_leads_to_the_same_notes(tmp_path, make_pixels, encode, write):
    """An image that cannot be used does not count."""
    labels = [*["cat"] * 4, "dog", "dog", "cow", "cat", "elk", "cat"]
    splits = [*["train"] * 7, "val", "test", "test"]
    rows = [
        (f"{number}.png", *pair) for number, pair in enumerate(zip(labels, splits, strict=True))
    ]
    for number, (path, _, _) in enumerate(rows):
        content = encode(make_pixels(number), "PNG")
        (tmp_path / path).write_bytes(content if number != 5 else content[:20])
    (tmp_path / "out").mkdir()
    info = source_writing.write_source(
        opening.open_source(write(tmp_path, rows)), str(tmp_path / "out")
    )
    assert info.notes_of_classes == (
        "classes without a training image: 1 ('elk')",
        "classes with a single training image: 2 ('cow', 'dog')",
    )
    assert DatasetInfo.read(str(tmp_path / "out")) == info
