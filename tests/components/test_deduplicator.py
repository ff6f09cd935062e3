# SPDX-License-Identifier: Apache-2.0
"""Deduplicator, run by TFX and Beam: planted copies go, everything else stays byte for byte."""

import base64
import dataclasses
import glob
import io
import json
import os
import pathlib
import re
import shutil

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
from mixer_tf.features import SPLITS, ImageRecord


@dataclasses.dataclass(frozen=True)
class Result:
    """What one run of the Deduplicator wrote.

    Attributes:
        before: folder of the Examples that it read.
        after: folder of those that it wrote.
        report_folder: folder of the report.
        report: what report.json holds.
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
    """The serialized examples of a split, in the order of the files."""
    paths = sorted(glob.glob(examples.file_pattern(folder, split)))
    return list(tf.data.TFRecordDataset(paths, "GZIP").as_numpy_iterator())


def names(folder: str, split: str) -> list[str]:
    records = map(ImageRecord.from_example, read(folder, split))
    return sorted(os.path.basename(record.source) for record in records)


def save(image: Image.Image, path: pathlib.Path, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def picture(seed: int) -> Image.Image:
    """A smooth random picture of 64x48 pixels; another seed, another picture."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((64, 48), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def leaky_folder(tmp_path_factory) -> pathlib.Path:
    """Splits of plain pictures; training also holds copies of others, made in several ways."""
    path = tmp_path_factory.mktemp("leaky")
    for split, first in (("train", 0), ("val", 100), ("test", 200)):
        for index in range(20 if split == "train" else 6):
            class_name = ("cat", "dog")[index % 2]
            name = f"{split}-{index:02}.png"
            save(picture(first + index), path / split / class_name / name)
    train = path / "train" / "dog"
    shutil.copy(path / "test" / "cat" / "test-00.png", train / "copy.png")
    save(picture(201), train / "encoded.jpg", quality=60)
    save(picture(100).resize((58, 43)), train / "smaller.png")
    save(ImageOps.mirror(picture(102)), train / "mirrored.png")
    save(picture(3), train / "train-03-again.webp", quality=80)
    (train / "damaged.jpg").write_bytes((train / "encoded.jpg").read_bytes()[:300])
    return path


@pytest.fixture(scope="module")
def result(leaky_folder, tmp_path_factory) -> Result:
    return deduplicate(f"folder:{leaky_folder}", tmp_path_factory.mktemp("run"))


def test_planted_copies_are_removed_and_nothing_else(result):
    gone = set(names(result.before, "train")) - set(names(result.after, "train"))
    assert gone == {"copy.png", "encoded.jpg", "smaller.png", "mirrored.png"}


def test_what_stays_is_the_same_bytes_in_the_same_order(result):
    kept = [item for item in read(result.before, "train") if item in read(result.after, "train")]
    assert read(result.after, "train") == kept
    for split in ("eval", "test"):
        assert read(result.after, split) == read(result.before, split)


def test_every_removal_is_explained(result):
    found = {
        os.path.basename(pair["removed"]["source"]): (
            os.path.basename(pair["copy_of"]["source"]),
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


def test_the_report_counts_by_test_set_and_passes_unreadable_images_on(result):
    assert result.report["removed"] == 4
    assert result.report["removed_by_set"] == {"eval": 2, "test": 2, "train": 0}
    assert result.report["compared"] == {"eval": 6, "test": 6, "train": 25}
    assert result.report["unreadable"] == {"eval": 0, "test": 0, "train": 1}
    assert "damaged.jpg" in names(result.after, "train")


def test_the_contact_sheet_shows_every_pair(result):
    page = (pathlib.Path(result.report_folder) / "pairs.html").read_text("utf-8")
    pictures = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    assert len(pictures) == 2 * len(result.pairs)
    sizes = [Image.open(io.BytesIO(base64.b64decode(item))).size for item in pictures]
    assert set(sizes) == {(64, 48), (58, 43)}
    for pair in result.pairs:
        assert pair["removed"]["source"] in page
        assert pair["copy_of"]["source"] in page


def test_the_dataset_file_counts_what_is_left(result):
    before, after = DatasetInfo.read(result.before), DatasetInfo.read(result.after)
    assert after.counts["train"] == {"cat": 10, "dog": 12}
    assert dataclasses.replace(after, counts=before.counts) == before
    assert after.examples == {split: len(read(result.after, split)) for split in SPLITS}


def test_downstream_sets_and_training_itself_on_request(leaky_folder, tmp_path):
    downstream = tmp_path / "downstream"
    for index in range(6):
        seed = 5 if index == 4 else 300 + index
        save(picture(seed), downstream / "thing" / f"{index}.jpg", quality=90)
    spec = f"folder:{downstream}"
    result = deduplicate(
        f"folder:{leaky_folder}",
        tmp_path / "run",
        downstream_test_sets=json.dumps([spec, spec]),
        within_train=1,
    )
    assert result.report["removed_by_set"] == {"eval": 2, "test": 2, spec: 1, "train": 1}
    assert result.report["removed"] == 6
    left = names(result.after, "train")
    assert "train-05.png" not in left
    # Of the two copies one stays, the first by name.
    assert ("train-03.png" in left) != ("train-03-again.webp" in left)
    within = [pair for pair in result.pairs if not pair["test_sets"]]
    assert [pair["copy_of"]["set"] for pair in within] == ["train"]


def test_all_1797_digits_stay(tmp_path):
    result = deduplicate("digits", tmp_path, within_train=1)
    assert sum(len(read(result.after, split)) for split in SPLITS) == 1797
    assert result.report["removed"] == 0


def test_nothing_left_to_train_on_is_one_clear_error(tmp_path):
    for split in ("train", "val", "test"):
        for class_name in ("cat", "dog"):
            image = picture(1 + (class_name == "dog"))
            save(image, tmp_path / "data" / split / class_name / "1.png")
    with pytest.raises(ValueError, match="at least one training image .* all are"):
        deduplicate(f"folder:{tmp_path / 'data'}", tmp_path / "run")


def test_a_wrong_downstream_set_is_one_clear_error(image_folder, tmp_path):
    with pytest.raises(ValueError, match="existing folder; got '/nowhere'"):
        deduplicate(f"folder:{image_folder}", tmp_path, downstream_test_sets='["folder:/nowhere"]')


def test_the_component_carries_its_parameters():
    examples = channel_utils.as_channel([standard_artifacts.Examples()])
    component = Deduplicator(
        examples=examples, downstream_test_sets=["digits"], within_train=True, fingerprint="1"
    )
    assert component.exec_properties == {
        "downstream_test_sets": '["digits"]',
        "data_dir": None,
        "within_train": 1,
        "fingerprint": "1",
    }
    assert component.outputs["report"].type is DeduplicationReport
    assert component.outputs["deduplicated_examples"].type is standard_artifacts.Examples


def test_the_method_needs_neither_tensorflow_nor_beam():
    """Beam's workers would wait for them; and the method can be used without."""
    import subprocess
    import sys

    code = (
        "import sys, mixer_tf.deduplication.matching, mixer_tf.deduplication.uniform_sets\n"
        "assert not {'tensorflow', 'tfx', 'apache_beam'} & set(sys.modules)"
    )
    root = pathlib.Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
