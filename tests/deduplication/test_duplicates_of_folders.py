# SPDX-License-Identifier: Apache-2.0
"""Duplicates of folders, in memory; the component and `mixer dedup` are compared with this."""

import json
import os
import pathlib

import pytest
from deduplication_in_memory import find_duplicates, remove_duplicates

from mixer_tf.datasets import source_writing
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources.opening import open_source
from mixer_tf.datasets.sources.source import Source
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.result import DeduplicationResult


@pytest.fixture(scope="module")
def sources(tmp_path_factory, random_image, save) -> tuple[Source, Source]:
    """Training images with duplicates in their test split and in another folder, and the folder."""
    path = tmp_path_factory.mktemp("folders")
    files = {f"own/train/cat/{index:02}.png": save(random_image(index)) for index in range(12)}
    files["own/train/cat/03-again.jpg"] = save(random_image(3), "JPEG", quality=80)
    files["own/val/cat/0.png"] = save(random_image(100))
    files["own/test/cat/mirrored.png"] = save(random_image(1).transpose(0))
    files["other/dog/0.png"] = save(random_image(200))
    files["other/dog/1.png"] = save(random_image(201))
    files["other/dog/broken.png"] = b"not an image"
    files["other/dog/same.png"] = files["own/train/cat/05.png"]
    files["other/dog/smaller.jpg"] = save(random_image(7).resize((40, 40)), "JPEG", quality=80)
    for name, content in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return open_source(f"folder:{path / 'own'}"), open_source(f"folder:{path / 'other'}")


def pairs(result: DeduplicationResult) -> dict[str, tuple[str, str]]:
    """Name of each duplicate → name and set of the image that it is a duplicate of."""
    matches = [removal.match for removal in result.removals]
    return {
        pathlib.Path(match.image.source).name: (
            pathlib.Path(match.other.source).name,
            match.other.set_name,
        )
        for match in matches
    }


def names(source: Source, split: str) -> list[str]:
    records = [record for shard in source.shards_of(split) for record in source.read(shard)]
    return sorted(pathlib.Path(record.source).name for record in records)


def test_duplicates_of_the_own_test_images_and_of_references_are_found(sources):
    train, other = sources
    num_read = []
    result = find_duplicates(train, [other, other], progress=num_read.append)
    assert pairs(result) == {
        "01.png": ("mirrored.png", "test"),
        "05.png": ("same.png", other.spec),
        "07.png": ("smaller.jpg", other.spec),
    }
    assert result.counts["compared", "train"] == 13
    assert result.counts["compared", other.spec] == 4
    assert result.counts["unreadable", other.spec] == 1
    assert num_read[-1] == 13 + 2 + 5
    assert result.uniform_sets == ()


def test_duplicates_within_training_are_found_on_request(sources):
    train, _ = sources
    result = find_duplicates(train, options=DeduplicationOptions(within_train=True))
    assert pairs(result) == {
        "01.png": ("mirrored.png", "test"),
        "03.png": ("03-again.jpg", "train"),
    }


def test_removed_images_are_not_in_the_cleaned_source(sources, tmp_path):
    train, other = sources
    result = find_duplicates(train, [other])
    cleaned = remove_duplicates(train, result)
    assert set(names(train, "train")) - set(names(cleaned, "train")) == set(pairs(result))
    assert len(names(cleaned, "train")) == 10
    assert names(cleaned, "test") == names(train, "test")
    source_writing.write_source(cleaned, str(tmp_path))
    assert DatasetInfo.read(str(tmp_path)).examples == {"train": 10, "eval": 1, "test": 1}


def test_in_report_mode_nothing_is_removed_and_all_duplicates_are_listed(sources, tmp_path):
    train, other = sources
    removing = find_duplicates(train, [other])
    reporting = find_duplicates(train, [other], DeduplicationOptions(mode="report"))
    assert reporting.removals == removing.removals
    assert not reporting.removed
    for name, result in (("removing", removing), ("reporting", reporting)):
        result.write(str(tmp_path / name))
    for file in ("pairs.jsonl", "report.json", "pairs.html"):
        one, two = ((tmp_path / name / file).read_text() for name in ("removing", "reporting"))
        if file == "report.json":
            one, two = json.loads(one), json.loads(two)
            assert (one.pop("mode"), two.pop("mode")) == ("remove", "report")
            assert (one.pop("removed"), two.pop("removed")) == (3, 0)
            assert one["duplicates"] == 3
        if file == "pairs.html":
            one = one.replace("3 removed.", "3 only reported. Nothing was removed.")
            one = one.replace('["removed"]', '["only reported"]')
        assert one == two


def test_no_image_reaches_a_threshold_of_one_unless_its_bytes_are_equal(sources):
    train, other = sources
    result = find_duplicates(train, [other], DeduplicationOptions(threshold=1.0))
    assert pairs(result) == {"05.png": ("same.png", other.spec)}


@pytest.mark.parametrize(("other_class", "kept"), [("dog", True), ("thing", False)])
def test_classes_are_compared_only_with_a_source_that_has_no_further_ones(
    other_class, kept, tmp_path, random_image, save
):
    """The cat of the reference has another class, and "thing" shows that the classes differ."""
    files = {
        f"own/train/{name}/{name}.png": random_image(i) for i, name in enumerate(("cat", "dog"))
    }
    files |= {f"own/{split}/cat/1.png": random_image(9 + len(split)) for split in ("val", "test")}
    files |= {f"other/dog/{index}.jpg": random_image(20 + index) for index in range(3)}
    files[f"other/{other_class}/similar.jpg"] = random_image(0)
    for name, image in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(save(image, "PNG" if name.endswith("png") else "JPEG"))
    train, other = (open_source(f"folder:{tmp_path / name}") for name in ("own", "other"))
    (removal,) = find_duplicates(train, [other]).removals
    assert (removal.match.image.class_name, removal.kept) == ("cat", kept)


def test_names_that_are_not_valid_unicode_are_reported_readably(tmp_path, random_image, save):
    folders = [
        os.path.join(os.fsencode(tmp_path), name) for name in (b"own/train/cat", b"f\xff/test/cat")
    ]
    for folder in folders:
        os.makedirs(folder)
        with open(os.path.join(folder, b"i\xff.png"), "wb") as file:
            file.write(save(random_image(0)))
    (tmp_path / "own/test/cat").mkdir(parents=True)
    (tmp_path / "own/val/cat").mkdir(parents=True)
    for seed, split in enumerate(("test", "val"), start=1):
        (tmp_path / "own" / split / "cat/1.png").write_bytes(save(random_image(seed)))
    train = open_source(f"folder:{tmp_path / 'own'}")
    other = open_source(f"folder:{os.fsdecode(folders[1]).removesuffix('/test/cat')}")
    find_duplicates(train, [other]).write(str(tmp_path / "report"))
    summary = json.loads((tmp_path / "report/report.json").read_text("utf-8"))
    assert summary["duplicates_by_set"][f"folder:{tmp_path}/f\N{REPLACEMENT CHARACTER}"] == 1
    for name in ("pairs.jsonl", "pairs.html"):
        assert "i\N{REPLACEMENT CHARACTER}.png" in (tmp_path / "report" / name).read_text("utf-8")


@pytest.fixture
def leaky_evaluation(tmp_path, random_image, save) -> tuple[Source, Source]:
    """Evaluation images that duplicate test images, one of them with another label."""
    files = {
        "own/train/cat/0.png": save(random_image(0)),
        "own/train/dog/1.png": save(random_image(1)),
        "own/val/cat/fine.png": save(random_image(2)),
        "own/val/cat/small.png": save(random_image(10).resize((44, 44))),
        "own/val/cat/equal.png": save(random_image(20)),
        "own/val/dog/label.jpg": save(random_image(11), "JPEG", quality=70),
        "own/test/cat/10.png": save(random_image(10)),
        "own/test/cat/11.png": save(random_image(11)),
        "own/test/dog/12.png": save(random_image(12)),
        "other/thing/20.png": save(random_image(20)),
        "other/thing/21.png": save(random_image(21)),
        "other/thing/22.png": save(random_image(22)),
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return open_source(f"folder:{tmp_path / 'own'}"), open_source(f"folder:{tmp_path / 'other'}")


def test_evaluation_images_that_duplicate_test_images_are_removed(leaky_evaluation, tmp_path):
    train, other = leaky_evaluation
    result = find_duplicates(train, [other])
    assert pairs(result) == {
        "small.png": ("10.png", "test"),
        "equal.png": ("20.png", other.spec),
        "label.jpg": ("11.png", "test"),
    }
    cleaned = remove_duplicates(train, result)
    assert names(cleaned, "eval") == ["fine.png", "label.jpg"]
    for split in ("train", "test"):
        assert names(cleaned, split) == names(train, split)
    info = source_writing.write_source(cleaned, str(tmp_path / "data"))
    assert info.examples == {"train": 2, "eval": 2, "test": 3}
    result.write(str(tmp_path / "report"))
    summary = json.loads((tmp_path / "report/report.json").read_text("utf-8"))
    assert (summary["duplicates"], summary["removed"]) == (0, 0)
    assert summary["evaluation"] == {
        **{"duplicates": 2, "removed": 2, "kept_because_labels_differ": 1},
        **{"kept_because_listed": 0, "duplicates_by_set": {"test": 1, other.spec: 1}},
    }
    assert summary["labels_differ"] == 1
    lines = (tmp_path / "report/pairs.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["set"] for line in lines] == ["eval"] * 3
    (conflict,) = (tmp_path / "report/label_conflicts.jsonl").read_text("utf-8").splitlines()
    assert [image["class_name"] for image in json.loads(conflict)["images"]] == ["dog", "cat"]


def test_evaluation_images_are_only_reported_where_that_is_asked_for(leaky_evaluation):
    train, other = leaky_evaluation
    removing = find_duplicates(train, [other])
    reporting = find_duplicates(train, [other], DeduplicationOptions(mode="report"))
    assert reporting.removals == removing.removals
    assert not reporting.removed
    assert reporting.summary()["evaluation"]["removed"] == 0
    assert reporting.summary()["labels_differ"] == 1
    keep = frozenset([f"{train.root}/val/cat/small.png"])
    kept = find_duplicates(train, [other], DeduplicationOptions(keep=keep))
    assert "small.png" in names(remove_duplicates(train, kept), "eval")
    assert kept.summary()["evaluation"]["kept_because_listed"] == 1


def test_a_pair_of_another_label_is_listed_although_another_pair_decides(
    tmp_path, save, photo, random_image
):
    """The training cat duplicates a test cat, and, a little less, a test dog."""
    files = {"train/cat/a.png": photo, "train/dog/b.png": random_image(1)}
    files |= {"test/cat/x.png": photo.crop((2, 2, 638, 425)), "val/cat/v.png": random_image(2)}
    files["test/dog/y.png"] = photo.crop((9, 9, 630, 420))
    for name, image in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(save(image))
    result = find_duplicates(open_source(f"folder:{tmp_path}"))
    (removal,) = [r for r in result.removals if r.match.image.set_name == "train"]
    assert (removal.match.other.class_name, removal.kept) == ("cat", False)
    assert removal.conflict.other.class_name == "dog"
    assert removal.conflict.distance >= removal.match.distance
    assert result.summary()["labels_differ"] == 1
