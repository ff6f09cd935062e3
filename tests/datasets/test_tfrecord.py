# SPDX-License-Identifier: Apache-2.0
import os
import pathlib

import pytest
import tensorflow as tf

from mixer_tf import features
from mixer_tf.datasets import source_writing
from mixer_tf.datasets.sources import opening, tfrecord
from mixer_tf.datasets.sources.source import Source


def make_example(**values) -> bytes:
    feature = {}
    for key, value in values.items():
        found = list(value) if isinstance(value, list | tuple) else [value]
        if isinstance(found[0], bytes):
            feature[key] = tf.train.Feature(bytes_list=tf.train.BytesList(value=found))
        elif isinstance(found[0], float):
            feature[key] = tf.train.Feature(float_list=tf.train.FloatList(value=found))
        else:
            feature[key] = tf.train.Feature(int64_list=tf.train.Int64List(value=found))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def write(path: pathlib.Path, examples: list[bytes], compression: str = "") -> None:
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for example in examples:
            writer.write(example)


def read(source: Source) -> dict[str, list[features.ImageRecord]]:
    return {
        split: [record for shard in source.shards_of(split) for record in source.read(shard)]
        for split in source.splits
    }


def read_all(source: Source) -> list[features.ImageRecord]:
    return [record for found in read(source).values() for record in found]


@pytest.fixture
def png(make_pixels, encode):
    return lambda seed: encode(make_pixels(seed), "PNG")


@pytest.mark.parametrize("compression", ["", "GZIP", "ZLIB"])
def test_common_feature_names_are_found(tmp_path, png, compression):
    examples = [make_example(image=png(i), label=i % 2, filename=b"f%d" % i) for i in range(30)]
    write(tmp_path / "pets.tfrecord", examples, compression)
    source = opening.open_source(f"tfrecord:{tmp_path}/*.tfrecord")
    assert source.class_names == ("0", "1")
    assert source.splits == ("train", "eval", "test")
    records = read_all(source)
    assert sorted(record.source for record in records) == sorted(f"f{i}" for i in range(30))
    assert all(record.label == int(record.source[1:]) % 2 for record in records)
    assert {record.format for record in records} == {"PNG"}


def test_labels_and_names_of_the_slim_layout(tmp_path, png):
    names = {3: b"cat", 7: b"dog"}
    examples = [
        make_example(**{"image/encoded": png(i), "image/class/label": n, "image/class/text": name})
        for i, (n, name) in enumerate(list(names.items()) * 5)
    ]
    write(tmp_path / "a.tfrecord", examples)
    source = opening.open_source(f"tfrecord:{tmp_path}/a.tfrecord")
    assert source.class_names == ("cat", "dog")
    assert source.notes == ("labels 3 to 7 are now 0 to 1",)
    assert {(r.label, r.class_name) for r in read_all(source)} == {(0, "cat"), (1, "dog")}


def test_labels_may_be_strings(tmp_path, png):
    examples = [make_example(image=png(i), label=(b"dog", b"cat")[i % 2]) for i in range(9)]
    write(tmp_path / "a.tfrecord", examples)
    source = opening.open_source(f"tfrecord:{tmp_path}/a.tfrecord")
    assert source.class_names == ("cat", "dog")


def test_the_split_is_derived_from_the_file_name(tmp_path, png):
    for number, name in enumerate(["train-00000-of-00002", "train-00001-of-00002", "pets_val"]):
        examples = [make_example(image=png(i), label=0) for i in range(20 + number)]
        write(tmp_path / f"{name}.tfrecord", examples)
    counts = {
        split: len(found)
        for split, found in read(opening.open_source(f"tfrecord:{tmp_path}/*.tfrecord")).items()
    }
    assert counts["eval"] == 22
    assert counts["test"] >= 1
    assert counts["train"] + counts["test"] == 41


def test_examples_without_a_label_are_kept(tmp_path, png):
    examples = [make_example(image=png(i), label=0) for i in range(9)]
    write(tmp_path / "a.tfrecord", [*examples, make_example(image=png(9))])
    records = read_all(opening.open_source(f"tfrecord:{tmp_path}/a.tfrecord"))
    assert [record.label for record in records].count(None) == 1


def test_invalid_records_become_problems(tmp_path, png):
    good = [make_example(image=png(i), label=0) for i in range(9)]
    write(tmp_path / "a.tfrecord", [*good, make_example(label=0, size=5), b"\xff\xff no example"])
    problems = {
        record.problem
        for record in read_all(opening.open_source(f"tfrecord:{tmp_path}/a.tfrecord"))
    }
    assert problems == {"", "no encoded image; its features are label, size", "not a tf.Example"}


@pytest.mark.parametrize("compression", ["", "GZIP", "ZLIB"])
def test_a_truncated_file_is_one_problem_and_the_rest_is_read(tmp_path, png, compression):
    path = tmp_path / "a.tfrecord"
    write(path, [make_example(image=png(i), label=0) for i in range(50)], compression)
    path.write_bytes(path.read_bytes()[:-500])
    records = read_all(opening.open_source(f"tfrecord:{path}"))
    problems = [record for record in records if record.problem]
    assert len(problems) == 1
    assert problems[0].problem.startswith("corrupt or truncated TFRecord file")
    assert len(records) > 20


def test_our_own_shards_are_read_back_equal(tmp_path, image_folder):
    folder = opening.open_source(f"folder:{image_folder}")
    source_writing.write_source(folder, str(tmp_path))
    source = opening.open_source(f"tfrecord:{tmp_path}/Split-*/data_tfrecord-*")
    assert source.class_names == folder.class_names
    for split, records in read(folder).items():
        assert sorted(map(repr, records)) == sorted(map(repr, read(source)[split]))


def test_a_label_beyond_the_known_classes_is_a_problem(tmp_path, image_folder, png):
    source_writing.write_source(opening.open_source(f"folder:{image_folder}"), str(tmp_path))
    example = make_example(**{features.ENCODED: png(0), features.LABEL: 2})
    write(tmp_path / "train-more.tfrecord", [example])
    reader = opening.open_source(f"tfrecord:{tmp_path}/Split-*/*").reader
    (record,) = reader(tfrecord.Shard(str(tmp_path / "train-more.tfrecord"), "train"))
    assert record.problem == "label 2 is not one of the 2 classes"


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (None, "a pattern that matches files"),
        ([make_example(image=b"x", size=3)], "must have a class in one of the features"),
    ],
)
def test_missing_files_and_missing_classes_are_errors(tmp_path, examples, message):
    if examples:
        write(tmp_path / "a.tfrecord", examples)
    with pytest.raises(ValueError, match=message):
        opening.open_source(f"tfrecord:{tmp_path}/*.tfrecord")


def test_a_folder_is_answered_with_the_pattern_to_use(tmp_path):
    with pytest.raises(ValueError, match=rf"got the folder .* Use tfrecord:{tmp_path}/\*\."):
        opening.open_source(f"tfrecord:{tmp_path}")
    (tmp_path / "Split-train").mkdir()
    with pytest.raises(ValueError, match=rf"Use tfrecord:{tmp_path}/Split-\*/\*\."):
        opening.open_source(f"tfrecord:{tmp_path}")
    (tmp_path / "a.tfrecord").touch()
    with pytest.raises(ValueError, match=rf"Use tfrecord:{tmp_path}/\*.tfrec\*\."):
        opening.open_source(f"tfrecord:{tmp_path}")


def open_examples(tmp_path, examples: list[bytes]) -> Source:
    write(tmp_path / "a.tfrecord", examples)
    return opening.open_source(f"tfrecord:{tmp_path}/a.tfrecord")


def problem_of(tmp_path, png, **values) -> str:
    """The problem of one odd example among 20 good ones."""
    good = [make_example(image=png(i), label=i % 3, filename=b"good %d" % i) for i in range(20)]
    odd = make_example(**{"image": png(20), "label": 1, "filename": b"odd", **values})
    records = read_all(open_examples(tmp_path, [*good, odd]))
    (record,) = [record for record in records if not record.source.startswith("good")]
    assert len(records) == 21
    return record.problem


@pytest.mark.parametrize("one", [1, 1.0])
def test_a_one_hot_label_is_the_index_of_its_only_1(tmp_path, png, one):
    examples = [
        make_example(
            image=png(i),
            label=[one * (k == i % 3) for k in range(3)],
            filename=b"%d" % i,
        )
        for i in range(30)
    ]
    source = open_examples(tmp_path, examples)
    assert source.class_names == ("0", "1", "2")
    assert source.notes == ("labels are one-hot lists of 3 values: read as the index",)
    assert all(record.label == int(record.source) % 3 for record in read_all(source))


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ([0, 1, 1], "the feature label must be one class; it has 3 values, of which 2 are 1"),
        ([0, 0], "the feature label must be one class; it has 2 values, of which 0 are 1"),
        ([0.5, 0.5], "the feature label must be one class; it has 2 values"),
        ([b"cat", b"dog"], "the feature label must be one class; it has 2 values"),
        ([0, 1], "the number of values of label must be 1 as in most; got 2"),
        (0.5, "the feature label must be one class; it is 0.5, which is not an integer"),
        (float("nan"), "the feature label must be one class; it is nan, which is not an integer"),
        (float("inf"), "the feature label must be one class; it is inf, which is not an integer"),
        (1.0, ""),
    ],
)
def test_a_label_that_is_not_one_class_is_a_problem(tmp_path, png, label, reason):
    assert problem_of(tmp_path, png, label=label) == reason


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"image": (b"a", b"b")}, "the feature image must have one value; it has 2"),
        ({"filename": (b"a", b"b")}, "the feature filename must have one value; it has 2"),
        ({"filename": b"odd", "id": (1, 2)}, ""),
        ({"image": bytes(784)}, "784 bytes = 28x28: raw pixels? Store them as PNG"),
        ({"image": bytes(32 * 32 * 3)}, "3,072 bytes = 32x32x3: raw pixels? Store them as PNG"),
        ({"image": b"\x01" * 785}, "'"),
        ({"image": [7] * 784}, "has 784 numbers = 28x28: raw pixels. Store them as PNG"),
        ({"image": [0.5] * 785}, "no encoded image: the feature image has 785 numbers"),
        ({"image": 3}, "no encoded image: the feature image has 1 numbers"),
    ],
)
def test_other_images_and_ids_than_one_are_problems(tmp_path, png, values, reason):
    assert problem_of(tmp_path, png, **values).endswith(reason)


def test_an_empty_id_is_not_an_id(tmp_path, png):
    examples = [make_example(image=png(i), label=0, filename=b"") for i in range(30)]
    source = open_examples(tmp_path, examples)
    assert source.splits == ("train", "eval", "test")
    ids = {f"a.tfrecord/{number:07d}" for number in range(30)}
    assert {record.source for record in read_all(source)} == ids
    examples = [make_example(image=png(i), label=0, filename=b"", id=i) for i in range(9)]
    found = {record.source for record in read_all(open_examples(tmp_path, examples))}
    assert found == {str(number) for number in range(9)}


def test_labels_as_floats_are_integers(tmp_path, png):
    examples = [make_example(image=png(i), label=float(i % 2)) for i in range(9)]
    assert open_examples(tmp_path, examples).class_names == ("0", "1")


@pytest.mark.parametrize("labels", [[(0, 1), (1, 2), (2, 3)], [0.25, 0.75, 0.5], [(b"a", b"b")]])
def test_a_feature_that_is_mostly_not_one_class_is_an_error(tmp_path, png, labels):
    examples = [make_example(image=png(i), label=labels[i % len(labels)]) for i in range(9)]
    with pytest.raises(ValueError, match="each example must have one class; . of 9 examples do"):
        open_examples(tmp_path, examples)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            b"no TFRecord at all",
            r"is: corrupt or truncated TFRecord file: record 0 states .*; the file has 18\.",
        ),
        (b"\0" * 40, r"corrupt or truncated TFRecord file: corrupted record at 0 [^{\[:]*$"),
        (b"\x1f\x8b" + b"\0" * 40, r"corrupt or truncated TFRecord file: [^{\[]*$"),
    ],
)
def test_the_error_for_files_without_a_class_names_the_first_problem(tmp_path, content, reason):
    (tmp_path / "a.tfrecord").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        opening.open_source(f"tfrecord:{tmp_path}/a.tfrecord")


def test_a_hidden_label_is_not_a_class(tmp_path, png):
    examples = [make_example(image=png(i), label=(-1.0, 0.0, 1.0)[i % 3]) for i in range(9)]
    source = open_examples(tmp_path, examples)
    assert source.class_names == ("0", "1")
    assert sum(record.label is None for record in read_all(source)) == 3


def test_two_unicode_forms_of_a_name_are_one_class(tmp_path, png):
    names = ["m\u00fcsli", "mu\u0308sli", "dog"]
    examples = [make_example(image=png(i), label=names[i % 3].encode()) for i in range(30)]
    source = open_examples(tmp_path, examples)
    assert source.class_names == ("dog", "m\u00fcsli")
    assert source.notes == (
        "class names in several Unicode forms were read as one class: 1 ('m\u00fcsli')",
    )
    assert sorted(record.label for record in read_all(source)) == [0] * 10 + [1] * 20


def test_names_that_are_not_utf8_stay_different_classes(tmp_path, png):
    examples = [make_example(image=png(i), label=(b"t\xe8", b"t\xe9")[i % 2]) for i in range(9)]
    assert open_examples(tmp_path, examples).class_names == ("t\\xe8", "t\\xe9")


def test_a_name_of_two_labels_is_followed_by_the_label(tmp_path, png):
    """In ImageNet, "crane" is a bird and a machine."""
    names = [b"crane", b"dog", b"crane"]
    examples = [
        make_example(image=png(i), label=5 + i % 3, class_name=names[i % 3]) for i in range(9)
    ]
    source = open_examples(tmp_path, examples)
    assert source.class_names == ("crane (5)", "dog", "crane (7)")
    assert source.notes == (
        "labels 5 to 7 are now 0 to 2",
        "names of several labels, now followed by the label: 1 ('crane')",
    )


def test_the_most_frequent_name_of_a_label_is_used(tmp_path, png):
    names = [b"", b"dog", b"cat", b"cat"]
    examples = [make_example(image=png(i), label=0, class_name=names[i % 4]) for i in range(12)]
    source = open_examples(tmp_path, examples)
    assert source.class_names == ("cat",)
    assert source.notes[0] == (
        "labels with several names, of which the most frequent is used: 1 (0: 'dog' and 'cat')"
    )


def test_a_device_or_a_named_pipe_is_refused_at_once(tmp_path):
    pipe = tmp_path / "a.tfrecord"
    os.mkfifo(pipe)
    for path in ("/dev/zero", pipe):
        with pytest.raises(ValueError, match=f"must be followed by regular files; {path} is not"):
            opening.open_source(f"tfrecord:{path}")


def test_a_few_of_many_features_are_named(tmp_path, png):
    odd = make_example(label=1, **{f"a{i}": 0 for i in range(10, 99)})
    good = [make_example(image=png(i), label=1) for i in range(9)]
    (problem,) = {r.problem for r in read_all(open_examples(tmp_path, [*good, odd])) if r.problem}
    assert problem == (
        "no encoded image; its features are " + ", ".join(f"a{i}" for i in range(10, 20)) + ", …"
    )


def test_the_names_of_the_classes_are_part_of_the_state(tmp_path, image_folder):
    source_writing.write_source(opening.open_source(f"folder:{image_folder}"), str(tmp_path))
    spec, info = f"tfrecord:{tmp_path}/Split-*/*", tmp_path / "dataset.json"
    before = opening.open_source(spec).fingerprint()
    assert opening.open_source(spec).fingerprint() == before
    info.write_text(info.read_text().replace('"dog"', '"hound"'))
    assert opening.open_source(spec).fingerprint() != before


@pytest.fixture
def write_datasets(tmp_path, write_image_folder):
    """Writes a dataset with these classes into each of the folders a, b, …"""

    def write_all(*classes: tuple[str, ...]) -> str:
        for name, found in zip("ab", classes, strict=False):
            write_image_folder(tmp_path / "images" / name, classes=found)
            source = opening.open_source(f"folder:{tmp_path}/images/{name}")
            source_writing.write_source(source, str(tmp_path / "data" / name))
        return f"tfrecord:{tmp_path}/data/*/Split-*/*"

    return write_all


def test_all_files_must_have_the_same_classes(tmp_path, write_datasets):
    spec = write_datasets(("cat", "dog"), ("car", "plane"))
    message = r"a/dataset.json has 2 \('cat', 'dog'\), .*b/dataset.json has 2 \('car', 'plane'\)"
    with pytest.raises(ValueError, match=message):
        opening.open_source(spec)
    (tmp_path / "data/b/dataset.json").unlink()
    message = r"those in .*/b/Split-\w+ do not, others belong to .*/a/dataset.json\. Use"
    with pytest.raises(ValueError, match=message):
        opening.open_source(spec)


def test_datasets_with_the_same_classes_are_read_as_one(tmp_path, write_datasets):
    source = opening.open_source(write_datasets(("cat", "dog"), ("cat", "dog")))
    assert source.class_names == ("cat", "dog")
    before = source.fingerprint()
    for name in "ab":
        info = tmp_path / "data" / name / "dataset.json"
        info.write_text(info.read_text() + "\n")
        assert source.fingerprint() != before
        before = source.fingerprint()


def test_a_dataset_json_of_another_program_is_one_clear_error(tmp_path, png):
    (tmp_path / "dataset.json").write_text('{"dataset": "pets", "labels": ["cat", "dog"]}')
    message = f"{tmp_path}/dataset.json is not. If another program wrote it, move it to another fol"
    with pytest.raises(ValueError, match=message):
        open_examples(tmp_path, [make_example(image=png(i), label=0) for i in range(9)])
