# SPDX-License-Identifier: Apache-2.0
"""The library on folders; tests/components/test_deduplicator.py compares it with the component."""

import json
import os
import pathlib

import pytest

from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources.opening import open_source
from mixer_tf.datasets.sources.source import Source
from mixer_tf.deduplication.local import find_duplicates, remove_duplicates
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
    assert cleaned.fingerprint() != train.fingerprint()
    examples.write_source(cleaned, str(tmp_path))
    assert DatasetInfo.read(str(tmp_path)).examples == {"train": 10, "eval": 1, "test": 1}


def test_in_report_mode_nothing_is_removed_and_all_duplicates_are_listed(sources, tmp_path):
    train, other = sources
    removing = find_duplicates(train, [other])
    reporting = find_duplicates(train, [other], DeduplicationOptions(mode="report"))
    assert reporting.removals == removing.removals
    assert remove_duplicates(train, reporting) is train
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


def test_the_training_source_cannot_be_a_reference(sources):
    with pytest.raises(ValueError, match="as both. To find duplicates within training"):
        find_duplicates(sources[0], [sources[0]])


def test_a_source_without_training_images_is_an_error(tmp_path, write_image_folder):
    write_image_folder(tmp_path / "test")
    with pytest.raises(ValueError, match=r"must have training images; .* has only \('test',\)"):
        find_duplicates(open_source(f"folder:{tmp_path}"))


@pytest.mark.parametrize(("other_class", "kept"), [("dog", True), ("thing", False)])
def test_classes_are_compared_only_with_a_source_that_has_no_further_ones(
    other_class, kept, tmp_path, random_image, save
):
    """The cat of the reference has another class, and "thing" shows that the classes differ."""
    files = {
        f"own/train/{name}/{name}.png": random_image(i) for i, name in enumerate(("cat", "dog"))
    }
    files |= {f"own/{split}/cat/1.png": random_image(9) for split in ("val", "test")}
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
    for split in ("test", "val"):
        (tmp_path / "own" / split / "cat/1.png").write_bytes(save(random_image(1)))
    train = open_source(f"folder:{tmp_path / 'own'}")
    other = open_source(f"folder:{os.fsdecode(folders[1]).removesuffix('/test/cat')}")
    find_duplicates(train, [other]).write(str(tmp_path / "report"))
    summary = json.loads((tmp_path / "report/report.json").read_text("utf-8"))
    assert summary["duplicates_by_set"][f"folder:{tmp_path}/f\N{REPLACEMENT CHARACTER}"] == 1
    for name in ("pairs.jsonl", "pairs.html"):
        assert "i\N{REPLACEMENT CHARACTER}.png" in (tmp_path / "report" / name).read_text("utf-8")
