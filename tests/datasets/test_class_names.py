# SPDX-License-Identifier: Apache-2.0
import itertools
import json
import random
import unicodedata

import pytest

from mixer_tf.datasets import class_names, source_writing
from mixer_tf.datasets.sources import opening


@pytest.mark.parametrize(
    "names",
    [
        [str(number) for number in range(120)],
        ["-10", "-2", "-1.5", "0.5", ".75", "1e0", "1.5", "10.0", "100"],
        ["1", "2", "10", "apple", "pear"],
        ["page1", "page2", "page10", "page10b", "page11"],
        ["Zebra", "ape", "zebra", "Äffchen"],
        ["2021-1-9", "2021-2-1", "2021-10-1"],
        ["01", "1", "1.0", "2"],
        ["7", "", "7 up", "٣"],
    ],
)
def test_numbers_are_sorted_by_value(names):
    shuffled = list(names)
    for seed in range(5):
        random.Random(seed).shuffle(shuffled)
        assert class_names.in_order(shuffled) == tuple(names)


def test_different_names_have_different_keys():
    names = ["1", "01", "1.0", "+1", "1e0", "a1", "a01", "a001", "a1b", "a01b", "", "a"]
    for first, second in itertools.combinations(names, 2):
        assert class_names.sort_key(first) != class_names.sort_key(second)


def test_very_long_numbers_are_sorted():
    long = "1" + "0" * 5_000
    assert class_names.in_order([long, "x" + long, "2", "x2", "1e9999999999"])[0] == "2"


def test_both_unicode_forms_of_a_name_are_equal():
    decomposed = unicodedata.normalize("NFD", "Müller")
    assert decomposed != "Müller"
    assert class_names.normalize(decomposed) == "Müller"


def test_names_that_look_alike_are_noted():
    names = ["01", "1", "Cat", "cat", "dog", "hot dog", "hot_dog"]
    assert class_names.notes_of_similar(names) == (
        "classes whose names differ only in spelling: 6 "
        "('01', '1'; 'Cat', 'cat'; 'hot dog', 'hot_dog')",
    )
    assert class_names.notes_of_similar(["1", "10", "a", "b", "-1", "a1", "a-1"]) == ()
    assert "; …)" in class_names.notes_of_similar([*"ABCDabcd"])[0]


def test_a_csv_file_with_similar_labels_has_a_note(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "list.csv").write_text("a.png,Cat\nb.png,cat\nc.png,dog\nd.png,cat\n")
    source = opening.open_source(f"csv:{tmp_path}/list.csv")
    assert source.class_names == ("Cat", "cat", "dog")
    assert source.notes[-1].endswith("only in spelling: 2 ('Cat', 'cat')")


def test_folder_csv_and_tfrecord_have_the_same_order(tmp_path, write_image_folder):
    import tensorflow as tf

    names = ["10", "9", "0.5", "-1", "b10", "b9", "Ä"]
    write_image_folder(tmp_path / "images", classes=names, per_class=3)
    files = sorted((tmp_path / "images").glob("*/*.png"))
    rows = [f"{file},{file.parent.name}" for file in files]
    (tmp_path / "list.csv").write_text("path,label\n" + "\n".join(rows))
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        for file in files:
            example = tf.train.Example()
            example.features.feature["image"].bytes_list.value.append(file.read_bytes())
            label = file.parent.name.encode()
            example.features.feature["label"].bytes_list.value.append(label)
            writer.write(example.SerializeToString())
    specs = ("folder:{}/images", "csv:{}/list.csv", "tfrecord:{}/*.tfrecord")
    for spec in specs:
        found = opening.open_source(spec.format(tmp_path)).class_names
        assert found == ("-1", "0.5", "9", "10", "b9", "b10", "Ä"), spec


def test_numbers_have_the_same_order_in_every_source_and_are_stored(tmp_path, write_image_folder):
    """As folders, as floats in a CSV file, and as integers, floats and strings in TFRecords."""
    import tensorflow as tf

    expected = tuple(str(number) for number in range(12))
    write_image_folder(tmp_path / "images", classes=expected, per_class=3)
    paths = sorted((tmp_path / "images").glob("*/*.png"))
    rows = [f"{path},{path.parent.name}.0" for path in paths]
    (tmp_path / "list.csv").write_text("path,label\n" + "\n".join(rows))
    for kind, convert in (("int64", int), ("float", float), ("bytes", str.encode)):
        with tf.io.TFRecordWriter(str(tmp_path / f"{kind}.tfrecord")) as writer:
            for path in paths:
                example = tf.train.Example()
                example.features.feature["image"].bytes_list.value.append(path.read_bytes())
                label = getattr(example.features.feature["label"], f"{kind}_list")
                label.value.append(convert(path.parent.name))
                writer.write(example.SerializeToString())
    specs = ["folder:{}/images", "csv:{}/list.csv"]
    specs += [f"tfrecord:{{}}/{kind}.tfrecord" for kind in ("int64", "float", "bytes")]
    for number, spec in enumerate(specs):
        source = opening.open_source(spec.format(tmp_path))
        assert source.class_names == expected, spec
        folder = tmp_path / str(number)
        folder.mkdir()
        source_writing.write_source(source, str(folder))
        stored = json.loads((folder / "dataset.json").read_text())
        assert stored["class_names"] == list(expected)


def test_names_that_stand_for_a_missing_label_or_a_list_are_noted():
    assert class_names.notes_of_odd(["cat", "dog", "hot dog", "0", "3.5", "None of these"]) == ()
    assert class_names.notes_of_odd(["NaN", "cat", "n/a", "none"]) == (
        "class names that often stand for a missing label: 3 ('NaN', 'n/a', 'none')",
    )
    names = ["cat", "dog", "cow", "cat,dog", "dog; cow", "cat dog cow", "dog|elk", "cow/cat"]
    assert class_names.notes_of_odd(names) == (
        "class names that may be lists of other classes: 4 ('cat,dog', 'dog; cow', 'cat dog cow', "
        "…)",
    )
