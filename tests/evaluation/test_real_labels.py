# SPDX-License-Identifier: Apache-2.0
"""ReaL labels go to images by file name, and to classes by WordNet id."""

import json
import random

import pytest

from mixer_tf.evaluation import imagenet, real_labels
from mixer_tf.evaluation.real_labels import NUM_EMPTY, NUM_IMAGES, RealLabels, RealScores


@pytest.fixture(scope="module")
def labels() -> list[list[int]]:
    """50,000 lists, 3,163 of which are empty, as in the published file."""
    generator = random.Random(0)
    lists = [[generator.randrange(1000)] for _ in range(NUM_IMAGES)]
    for index in generator.sample(range(NUM_IMAGES), NUM_EMPTY):
        lists[index] = []
    return lists


@pytest.fixture(scope="module")
def real_json(labels, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("real") / "real.json"
    path.write_text(json.dumps(labels))
    return str(path)


def test_list_i_belongs_to_the_image_number_i_plus_1_in_any_folder_and_order(labels, real_json):
    read = real_labels.read(real_json)
    assert read.num_labeled == 46_837 and read.notes() == []
    for index in (49_999, 0, 31_415):
        for path in (
            f"ILSVRC2012_val_{index + 1:08d}.JPEG",
            f"/data/val/n01440764/ILSVRC2012_val_{index + 1:08d}.JPEG",
            f"gs://bucket/val/ILSVRC2012_val_{index + 1:08d}.png",
            f"ILSVRC2012_val_{index + 1:08d}",
        ):
            assert read.of(path) == (index + 1, frozenset(labels[index]))


@pytest.mark.parametrize(
    "path",
    [
        "/ILSVRC2012_val_00000001.JPEG/1.png",
        "val_00000001.JPEG",
        "my_ILSVRC2012_val_00000001.JPEG",
        "ILSVRC2012_val_0000001.JPEG",
        "ILSVRC2012_val_000000011.JPEG",
        "imagenet2012/validation/0000000",
    ],
)
def test_other_names_are_refused(path, real_json):
    with pytest.raises(
        ValueError, match="must have names such as ILSVRC2012_val_00000001.JPEG; got"
    ):
        real_labels.read(real_json).of(path)


@pytest.mark.parametrize("number", [0, 50_001])
def test_numbers_beyond_the_validation_set_are_refused(number, real_json):
    with pytest.raises(ValueError, match="numbers 1 to 50,000; got ILSVRC2012_val_"):
        real_labels.read(real_json).of(f"ILSVRC2012_val_{number:08d}.JPEG")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[[1]", "must be a JSON file"),
        ('{"a": 1}', "must be a list of 50,000 lists"),
        ("[[1], [2]]", "got a list of 2 in"),
        (json.dumps([[1]] * 49_999 + [[1000]]), r"got \[1000\] for image 50,000"),
        (json.dumps([["cat"]] * 50_000), r"got \['cat'\] for image 1"),
        (json.dumps([[True]] * 50_000), r"got \[True\] for image 1"),
        (json.dumps([5] * 50_000), "got 5 for image 1"),
    ],
)
def test_another_file_is_refused(tmp_path, content, message):
    (tmp_path / "real.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        real_labels.read(str(tmp_path / "real.json"))


def test_another_number_of_empty_lists_is_noted(labels):
    (note,) = RealLabels([frozenset([1]) for _ in labels]).notes()
    assert note.startswith("0 images have no ReaL label")


def test_classes_of_imagenet_are_in_the_order_of_their_ids():
    ids = imagenet.wordnet_ids()
    assert (ids[0], ids[281], ids[999]) == ("n01440764", "n02123045", "n15075141")  # tench, tabby
    assert list(ids) == sorted(ids) and len(set(ids)) == 1000


def test_classes_go_to_labels_by_id_whatever_their_order():
    ids = imagenet.wordnet_ids()
    backwards = [*ids[::-1], "n00001740"]
    found = real_labels.labels_of_classes(backwards)
    assert found == {name: label for label, name in enumerate(ids)}
    named = real_labels.labels_of_classes(["tabby", "entity"], [ids[281], "n00001740"])
    assert named == {"tabby": 281}


@pytest.mark.parametrize("names", [[f"{label}" for label in range(1000)], ["tench", "goldfish"]])
def test_classes_without_ids_are_refused(names):
    """Labels 0 to 999 may be in the order of the ids or in that of the challenge."""
    with pytest.raises(ValueError, match="whose classes are named by WordNet ids"):
        real_labels.labels_of_classes(names)


def test_a_hit_is_any_of_the_labels_and_images_without_one_are_left_out():
    labels = RealLabels([frozenset(each) for each in ([3, 7], [7], [], [0])])
    scores = RealScores(labels, {"a": 3, "b": 7})
    name = "ILSVRC2012_val_{:08d}.JPEG".format
    assert scores.add(name(2), "b") is True
    assert scores.add(name(1), "a") is True
    assert scores.add(name(3), "a") is None
    assert scores.add(name(4), "unknown") is False
    assert (scores.images, scores.correct, scores.without_labels) == (3, 2, 1)
    assert scores.accuracy == pytest.approx(2 / 3) and scores.notes() == []
    with pytest.raises(ValueError, match="must occur once for ReaL labels; number 2 occurs again"):
        scores.add(f"copy/{name(2)}", "b")


def test_a_part_of_the_validation_set_is_noted():
    scores = RealScores(RealLabels([frozenset([1]), frozenset([1]), frozenset()]), {"a": 1})
    assert scores.accuracy is None
    scores.add("ILSVRC2012_val_00000001.JPEG", "a")
    assert scores.notes() == ["ReaL accuracy is that of 1 of the 2 labeled validation images"]
