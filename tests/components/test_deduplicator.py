# SPDX-License-Identifier: Apache-2.0
"""Deduplicator, run by TFX and Beam: it removes inserted duplicates, and changes nothing else."""

import base64
import dataclasses
import glob
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps
from tfx.types import channel_utils, standard_artifacts

from components.artifacts import DeduplicationReport
from components.deduplicator import Deduplicator
from components.deduplicator.executor import Executor
from components.image_example_gen import executor as image_example_gen
from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.deduplication import blocks, sorted_files
from mixer_tf.features import SPLITS, ImageRecord

TESTS = pathlib.Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Result:
    """The output of one run of Deduplicator.

    Attributes:
        before: the Examples folder that it read.
        after: the Examples folder that it wrote.
        report_folder: the folder of the report.
        report: the content of report.json.
        pairs: the lines of pairs.jsonl.
    """

    before: str
    after: str
    report_folder: str
    report: dict
    pairs: list[dict]


def deduplicate(source: str, folder: pathlib.Path, **properties) -> Result:
    """Runs ImageExampleGen and Deduplicator on a source."""
    examples, output = standard_artifacts.Examples(), standard_artifacts.Examples()
    report = DeduplicationReport()
    examples.uri, output.uri, report.uri = (str(folder / name) for name in ("in", "out", "report"))
    image_example_gen.Executor().Do({}, {"examples": [examples]}, {"source": source})
    Executor().Do(
        {"examples": [examples]},
        {"deduplicated_examples": [output], "report": [report]},
        {"downstream_test_sets": "[]", "within_train": 0, **properties},
    )
    assert output.split_names == examples.split_names
    with open(os.path.join(report.uri, "report.json"), encoding="utf-8") as file:
        summary = json.load(file)
    with open(os.path.join(report.uri, "pairs.jsonl"), encoding="utf-8") as file:
        pairs = [json.loads(line) for line in file]
    return Result(examples.uri, output.uri, report.uri, summary, pairs)


def read(folder: str, split: str) -> list[bytes]:
    """Returns the serialized examples of a split, in the order of the files."""
    paths = sorted(glob.glob(examples.file_pattern(folder, split)))
    return list(tf.data.TFRecordDataset(paths).as_numpy_iterator())


def names(folder: str, split: str) -> list[str]:
    records = map(ImageRecord.from_example, read(folder, split))
    return sorted(os.path.basename(record.source) for record in records)


def save(image: Image.Image, path: pathlib.Path, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def random_image(seed: int) -> Image.Image:
    """A smooth random image of 64x48 pixels that depends on the seed."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((64, 48), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def leaky_folder(tmp_path_factory) -> pathlib.Path:
    """Splits of random images; training also has duplicates of others, modified in several ways."""
    path = tmp_path_factory.mktemp("leaky")
    for split, first in (("train", 0), ("val", 100), ("test", 200)):
        for index in range(20 if split == "train" else 6):
            class_name = ("cat", "dog")[index % 2]
            name = f"{split}-{index:02}.png"
            save(random_image(first + index), path / split / class_name / name)
    cat, train = path / "train" / "cat", path / "train" / "dog"
    shutil.copy(path / "test" / "cat" / "test-00.png", cat / "copy.png")
    save(random_image(201), train / "encoded.jpg", quality=60)
    save(random_image(100).resize((58, 43)), cat / "smaller.png")
    save(ImageOps.mirror(random_image(102)), cat / "mirrored.png")
    save(random_image(3), train / "train-03-again.webp", quality=80)
    (train / "damaged.jpg").write_bytes((train / "encoded.jpg").read_bytes()[:300])
    return path


@pytest.fixture(scope="module")
def result(leaky_folder, tmp_path_factory) -> Result:
    return deduplicate(f"folder:{leaky_folder}", tmp_path_factory.mktemp("run"))


def test_only_inserted_duplicates_are_removed(result):
    gone = set(names(result.before, "train")) - set(names(result.after, "train"))
    assert gone == {"copy.png", "encoded.jpg", "smaller.png", "mirrored.png"}


def test_kept_images_have_the_same_bytes_in_the_same_order(result):
    kept = [item for item in read(result.before, "train") if item in read(result.after, "train")]
    assert read(result.after, "train") == kept
    for split in ("eval", "test"):
        assert read(result.after, split) == read(result.before, split)


def test_every_removal_is_reported_with_its_reason(result):
    found = {
        os.path.basename(pair["image"]["source"]): (
            os.path.basename(pair["duplicate_of"]["source"]),
            pair["reason"],
            pair["test_sets"],
        )
        for pair in result.pairs
    }
    assert found == {
        "copy.png": ("test-00.png", "exact copy", ["test"]),
        "encoded.jpg": ("test-01.png", "near-duplicate", ["test"]),
        "smaller.png": ("val-00.png", "near-duplicate", ["eval"]),
        "mirrored.png": ("val-02.png", "mirrored near-duplicate", ["eval"]),
    }


def test_the_report_counts_by_test_set_and_unreadable_images_are_kept(result):
    assert result.report["duplicates"] == result.report["removed"] == 4
    assert result.report["duplicates_by_set"] == {"eval": 2, "test": 2, "train": 0}
    assert result.report["compared"] == {"eval": 6, "test": 6, "train": 25}
    assert result.report["unreadable"] == {"eval": 0, "test": 0, "train": 1}
    assert "damaged.jpg" in names(result.after, "train")


def read_page(folder: str) -> dict:
    """The JSON of pairs.html."""
    page = (pathlib.Path(folder) / "pairs.html").read_text("utf-8")
    found = re.search(r'type="application/json">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])


def test_the_page_shows_every_pair_with_its_pictures(result):
    data = read_page(result.report_folder)
    sizes = [Image.open(io.BytesIO(base64.b64decode(item))).size for item in data["pictures"]]
    assert len(sizes) == 2 * len(result.pairs)
    assert set(sizes) == {(64, 48), (58, 43)}
    found = {tuple(data["images"][index][1] for index in pair[:2]) for pair in data["pairs"]}
    assert found == {
        (pair["image"]["source"], pair["duplicate_of"]["source"]) for pair in result.pairs
    }
    page = (pathlib.Path(result.report_folder) / "pairs.html").read_text("utf-8")
    assert "4 training images have a duplicate: 4 removed." in page


def test_the_dataset_file_counts_the_images_that_are_left(result):
    before, after = DatasetInfo.read(result.before), DatasetInfo.read(result.after)
    assert after.counts["train"] == {"cat": 10, "dog": 12}
    (note,) = set(after.notes) - set(before.notes)
    assert note.startswith("removed as duplicates: 4 training images (15.4% of 26); look at pairs")
    assert result.report_folder not in note  # Equal runs have equal notes.
    assert dataclasses.replace(after, counts=before.counts, notes=before.notes) == before
    assert after.examples == {split: len(read(result.after, split)) for split in SPLITS}


def test_downstream_sets_and_training_itself_are_compared_on_request(leaky_folder, tmp_path):
    downstream = tmp_path / "downstream"
    for index in range(6):
        seed = 5 if index == 4 else 300 + index
        save(random_image(seed), downstream / "thing" / f"{index}.jpg", quality=90)
    spec = f"folder:{downstream}"
    result = deduplicate(
        f"folder:{leaky_folder}",
        tmp_path / "run",
        downstream_test_sets=json.dumps([spec, spec]),
        within_train=1,
    )
    assert result.report["duplicates_by_set"] == {"eval": 2, "test": 2, spec: 1, "train": 1}
    assert result.report["removed"] == 6
    left = names(result.after, "train")
    assert "train-05.png" not in left
    # One of the two duplicates is kept, the first by name.
    assert ("train-03.png" in left) != ("train-03-again.webp" in left)
    within = [pair for pair in result.pairs if not pair["test_sets"]]
    assert [pair["duplicate_of"]["set"] for pair in within] == ["train"]


def test_similar_images_of_another_class_are_reported_and_kept(tmp_path):
    """A board with and without a defect: only a copy of a test image itself is removed."""
    data = tmp_path / "data"
    for split, first in (("train", 0), ("val", 100), ("test", 200)):
        for index in range(8):
            save(random_image(first + index), data / split / "good" / f"{split}-{index}.png")
    for seed in (1, 200, 201):
        board = random_image(seed)
        board.putpixel((9, 9), (0, 0, 0))
        save(board, data / "train" / "defect" / f"defect-{seed}.png")
    for seed, split in ((300, "val"), (301, "test")):
        save(random_image(seed), data / split / "defect" / f"{split}-defect.png")
    shutil.copy(data / "test/good/test-2.png", data / "train/defect/wrong-label.png")
    result = deduplicate(f"folder:{data}", tmp_path / "run", within_train=1)
    gone = set(names(result.before, "train")) - set(names(result.after, "train"))
    assert gone == {"wrong-label.png"}
    assert result.report["removed"] == 1
    assert result.report["kept_because_labels_differ"] == 3
    kept = {os.path.basename(p["image"]["source"]) for p in result.pairs if p["kept_because"]}
    assert len(kept) == 3
    assert {"defect-200.png", "defect-201.png"} < kept  # And one of the two training images.
    page = (pathlib.Path(result.report_folder) / "pairs.html").read_text("utf-8")
    assert "4 training images have a duplicate: 1 removed, 3 kept because labels differ." in page
    assert len(read_page(result.report_folder)["pairs"]) == 4
    assert any("another class: 3 " in note for note in DatasetInfo.read(result.after).notes)


def test_lines_copied_from_the_report_keep_their_images(leaky_folder, result, tmp_path):
    lines = (pathlib.Path(result.report_folder) / "pairs.jsonl").read_text("utf-8").split("\n")
    (by_line,) = [line for line in lines if "/copy.png" in line.partition("duplicate_of")[0]]
    by_path = str(leaky_folder / "train/dog/encoded.jpg")
    keep = tmp_path / "keep.txt"
    keep.write_text(f"# looked at\n{by_line}\r\n\n{by_path}\n/no/such.png\n", "utf-8")
    kept = deduplicate(f"folder:{leaky_folder}", tmp_path, keep_duplicates=str(keep))
    gone = set(names(kept.before, "train")) - set(names(kept.after, "train"))
    assert gone == {"smaller.png", "mirrored.png"}
    assert kept.report == {
        **result.report,
        **{"duplicates": 2, "removed": 2, "kept_because_listed": 2},
        "duplicates_by_set": {"eval": 2, "test": 0, "train": 0},
        "leaked": {"eval": 2, "test": 0},
    }
    reasons = [pair["kept_because"] for pair in kept.pairs]
    assert sorted(reasons) == ["", "", *["listed as a duplicate to keep"] * 2]
    notes = DatasetInfo.read(kept.after).notes
    assert "kept, because --keep-duplicates lists them: 2 images" in notes
    assert notes[-1].endswith("name no duplicate: 1, such as '/no/such.png'")
    page = (pathlib.Path(kept.report_folder) / "pairs.html").read_text("utf-8")
    assert "4 training images have a duplicate: 2 removed, 2 kept because listed." in page
    assert len(read_page(kept.report_folder)["pairs"]) == 4


def test_equal_bytes_with_two_labels_are_noted_and_listed(tmp_path):
    """In training, where they are not compared by default, and between splits."""
    data = tmp_path / "data"
    for split, first in (("train", 0), ("val", 100), ("test", 200)):
        for index in range(4):
            save(random_image(first + index), data / split / "cat" / f"{index}.png")
            save(random_image(first + 50 + index), data / split / "dog" / f"{index}.png")
    shutil.copy(data / "train/cat/0.png", data / "train/dog/again.png")
    shutil.copy(data / "train/cat/0.png", data / "train/dog/and-again.png")
    shutil.copy(data / "train/cat/1.png", data / "train/cat/same-label.png")
    shutil.copy(data / "test/cat/2.png", data / "test/dog/two.png")
    result = deduplicate(f"folder:{data}", tmp_path / "run")
    assert result.report["removed"] == 0
    path = pathlib.Path(result.report_folder, "label_conflicts.jsonl")
    groups = [json.loads(line)["images"] for line in path.read_text("utf-8").splitlines()]
    assert [
        [(i["set"], os.path.relpath(i["source"], data), i["class_name"]) for i in group]
        for group in groups
    ] == [
        [("test", "test/cat/2.png", "cat"), ("test", "test/dog/two.png", "dog")],
        [
            ("train", "train/cat/0.png", "cat"),
            ("train", "train/dog/again.png", "dog"),
            ("train", "train/dog/and-again.png", "dog"),
        ],
    ]
    (note,) = DatasetInfo.read(result.after).notes
    assert note.startswith("images with equal bytes and different labels, of which at most one")
    assert f"can be right: 5, such as {data}/test/cat/2.png (cat) and {data}/test/dog/two" in note


def test_no_training_images_left_is_one_clear_error(tmp_path):
    for split in ("train", "val", "test"):
        for class_name in ("cat", "dog"):
            seed = (class_name == "dog") + 10 * (split == "val")
            save(random_image(seed), tmp_path / "data" / split / class_name / "1.png")
    with pytest.raises(ValueError, match="all are, such as .*train/cat/1.png, a duplicate of "):
        deduplicate(f"folder:{tmp_path / 'data'}", tmp_path / "run")


@pytest.fixture
def leaky_evaluation(tmp_path) -> pathlib.Path:
    """Six evaluation images; one of them is in the test split as well, another one resembles."""
    data = tmp_path / "data"
    for split, first in (("train", 0), ("val", 100), ("test", 200)):
        for index in range(6):
            class_name = ("cat", "dog")[index % 2]
            save(random_image(first + index), data / split / class_name / f"{split}-{index}.png")
    shutil.copy(data / "test/cat/test-0.png", data / "val/cat/equal.png")
    save(random_image(201), data / "val/dog/similar.jpg", quality=60)
    return data


def test_evaluation_images_that_duplicate_test_images_are_removed(leaky_evaluation, tmp_path):
    result = deduplicate(f"folder:{leaky_evaluation}", tmp_path / "run")
    gone = set(names(result.before, "eval")) - set(names(result.after, "eval"))
    assert gone == {"equal.png", "similar.jpg"}
    kept = [item for item in read(result.before, "eval") if item in read(result.after, "eval")]
    assert read(result.after, "eval") == kept
    for split in ("train", "test"):
        assert read(result.after, split) == read(result.before, split)
    assert (result.report["duplicates"], result.report["evaluation"]["removed"]) == (0, 2)
    assert DatasetInfo.read(result.after).counts["eval"] == {"cat": 3, "dog": 3}
    assert {pair["set"] for pair in result.pairs} == {"eval"}


def test_marked_images_say_what_they_are_duplicates_of(leaky_folder, result, tmp_path):
    marking = deduplicate(f"folder:{leaky_folder}", tmp_path, mode="mark")
    assert read(marking.after, "train") == read(marking.before, "train")
    assert marking.pairs == result.pairs
    assert marking.report == {**result.report, "mode": "mark", "removed": 0}
    assert marking.report["leaked"] == {"eval": 2, "test": 2}
    found = {}
    for split in ("eval", "test"):
        before = [ImageRecord.from_example(item) for item in read(marking.before, split)]
        after = [ImageRecord.from_example(item) for item in read(marking.after, split)]
        assert [dataclasses.replace(item, duplicate_of=None) for item in after] == before
        for record, serialized in zip(after, read(marking.after, split), strict=True):
            features = tf.train.Example.FromString(serialized).features.feature
            assert features["leaked"].int64_list.value == [bool(record.duplicate_of)]
            assert features["duplicate_of"].bytes_list.value == [record.duplicate_of.encode()]
            if record.duplicate_of:
                found[os.path.basename(record.source)] = os.path.basename(record.duplicate_of)
    assert found == {
        **{"test-00.png": "copy.png", "test-01.png": "encoded.jpg"},
        **{"val-00.png": "smaller.png", "val-02.png": "mirrored.png"},
    }
    before, after = DatasetInfo.read(marking.before), DatasetInfo.read(marking.after)
    assert after.counts == before.counts
    assert "not removed, only marked in evaluation and test images: 4 train" in after.notes[-1]


def test_no_evaluation_images_left_is_one_clear_error(leaky_evaluation, tmp_path):
    for path in leaky_evaluation.glob("val/*/val-*"):
        path.unlink()
    with pytest.raises(
        ValueError, match="all 2 are, such as .*/equal.png, a duplicate of .*Use an"
    ):
        deduplicate(f"folder:{leaky_evaluation}", tmp_path / "run")


def test_an_invalid_downstream_set_is_one_clear_error(image_folder, tmp_path):
    with pytest.raises(ValueError, match="existing folder; got '/nowhere'"):
        deduplicate(f"folder:{image_folder}", tmp_path, downstream_test_sets='["folder:/nowhere"]')


def test_the_component_has_its_parameters():
    examples = channel_utils.as_channel([standard_artifacts.Examples()])
    component = Deduplicator(
        examples=examples, downstream_test_sets=["digits"], within_train=True, fingerprint="1"
    )
    assert component.exec_properties == {
        "downstream_test_sets": '["digits"]',
        "data_dir": None,
        "within_train": 1,
        "threshold": 0.75,
        "mode": "remove",
        "keep_duplicates": None,
        "fingerprint": "1",
        "data_fingerprint": None,
    }
    assert component.outputs["report"].type is DeduplicationReport
    assert component.outputs["deduplicated_examples"].type is standard_artifacts.Examples


def test_invalid_options_are_an_error_when_the_component_is_created():
    examples = channel_utils.as_channel([standard_artifacts.Examples()])
    with pytest.raises(ValueError, match="threshold must be between 0.2 and 1; got threshold=2"):
        Deduplicator(examples=examples, threshold=2.0)


def test_in_report_mode_all_images_are_kept(leaky_folder, result, tmp_path):
    reporting = deduplicate(f"folder:{leaky_folder}", tmp_path, mode="report", threshold=0.75)
    for split in SPLITS:
        assert read(reporting.after, split) == read(reporting.before, split)
    assert reporting.pairs == result.pairs
    assert reporting.report == {**result.report, "mode": "report", "removed": 0}
    before, after = DatasetInfo.read(reporting.before), DatasetInfo.read(reporting.after)
    assert after.counts == before.counts
    assert after.notes[-1].startswith("duplicates that were not removed: 4 training images")


@pytest.fixture(scope="module")
def all_sets(leaky_folder, tmp_path_factory) -> tuple[str, str]:
    """A source with duplicates in training and evaluation, and a downstream test set."""
    folder = tmp_path_factory.mktemp("all sets")
    data, downstream = folder / "data", folder / "downstream"
    for index, seed in enumerate((5, 300, 301, 7)):
        edited = random_image(seed).resize((60, 45))
        save(edited, downstream / "thing" / f"{index}.jpg", quality=90)
    shutil.copytree(leaky_folder, data)
    save(random_image(203), data / "val/dog/similar.jpg", quality=60)
    shutil.copy(downstream / "thing" / "1.jpg", data / "val/cat/equal.jpg")
    return f"folder:{data}", f"folder:{downstream}"


def deduplicate_all(all_sets, folder: pathlib.Path) -> Result:
    data, downstream = all_sets
    return deduplicate(data, folder, downstream_test_sets=json.dumps([downstream]), within_train=1)


@pytest.fixture(scope="module")
def whole(all_sets, tmp_path_factory) -> Result:
    return deduplicate_all(all_sets, tmp_path_factory.mktemp("whole"))


def test_the_library_finds_exactly_what_the_component_finds(all_sets, whole, tmp_path):
    """The library runs in a process without Beam and TFX, and does not import TensorFlow."""
    code = (
        "import sys\n"
        "sys.modules['apache_beam'] = sys.modules['tfx'] = None  # An import raises.\n"
        "from mixer_tf.datasets.sources.opening import open_source\n"
        "from deduplication_in_memory import find_duplicates\n"
        "from mixer_tf.deduplication.options import DeduplicationOptions\n"
        f"sources = [open_source(spec) for spec in {all_sets!r}]\n"
        "options = DeduplicationOptions(within_train=True)\n"
        f"find_duplicates(sources[0], sources[1:], options).write({str(tmp_path / 'local')!r})\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert whole.report["removed"] == 7
    assert whole.report["evaluation"]["removed"] == 2
    for name in ("report.json", "pairs.jsonl", "pairs.html", "label_conflicts.jsonl"):
        written = pathlib.Path(whole.report_folder, name).read_bytes()
        assert (tmp_path / "local" / name).read_bytes() == written


def test_sets_of_many_blocks_have_the_same_result(all_sets, whole, monkeypatch, tmp_path):
    """As of more than 8,192 images, and of more than 50,000 duplicates."""
    monkeypatch.setattr(blocks, "BLOCK_SIZE", 4)
    monkeypatch.setattr(sorted_files, "_FILE_ITEMS", 1)
    several = deduplicate_all(all_sets, tmp_path)
    assert sorted(os.listdir(several.after)) == sorted(os.listdir(whole.before))
    assert several.report == whole.report and several.report["removed"] == 7
    assert several.report["evaluation"]["removed"] == 2
    assert several.pairs == whole.pairs
    for split in SPLITS:
        assert names(several.after, split) == names(whole.after, split)
