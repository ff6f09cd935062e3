# SPDX-License-Identifier: Apache-2.0
"""Preprocessor on Beam: usable images are kept, bad ones are quarantined with the reason."""

import io
import json
import os
import pathlib
import re
import shutil

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tfx.types import artifact_utils, standard_artifacts

from components.artifacts import QuarantineReport
from components.image_example_gen.transforms import WriteExamples
from components.preprocessor.executor import Executor
from mixer_tf import images
from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources import opening
from mixer_tf.features import ImageRecord


def _example_folder(spec: str, folder: pathlib.Path) -> standard_artifacts.Examples:
    source = opening.open_source(spec)
    with beam.Pipeline() as pipeline:
        _ = pipeline | WriteExamples(source, str(folder))
    examples = standard_artifacts.Examples()
    examples.uri = str(folder)
    examples.split_names = artifact_utils.encode_split_names(list(source.splits))
    return examples


def _preprocess(spec: str, tmp_path: pathlib.Path, **parameters) -> tuple[str, list[dict]]:
    """Returns the output's folder and the lines of the quarantine file."""
    examples = _example_folder(spec, tmp_path / "in")
    output, quarantine = standard_artifacts.Examples(), QuarantineReport()
    output.uri, quarantine.uri = str(tmp_path / "out"), str(tmp_path / "quarantine")
    os.makedirs(quarantine.uri)
    Executor().Do(
        {"examples": [examples]},
        {"preprocessed_examples": [output], "quarantine": [quarantine]},
        parameters,
    )
    lines = (tmp_path / "quarantine" / "quarantine.jsonl").read_text("utf-8").splitlines()
    return output.uri, [json.loads(line) for line in lines]


def _records(folder: str) -> dict[str, list[ImageRecord]]:
    """Split → its records, in the order of the files."""
    found = {}
    for split in ("train", "eval", "test"):
        files = sorted(tf.io.gfile.glob(examples.file_pattern(folder, split)))
        dataset = tf.data.TFRecordDataset(files)
        found[split] = [ImageRecord.from_example(r) for r in dataset.as_numpy_iterator()]
    return found


@pytest.fixture(scope="module")
def preprocessed(bad_folder, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("preprocessed")
    return _preprocess(f"folder:{bad_folder.path}", tmp_path)


def test_every_good_image_is_kept_and_every_bad_one_is_explained(preprocessed, bad_folder):
    folder, quarantine = preprocessed
    kept = [record.source for records in _records(folder).values() for record in records]
    relative = sorted(os.path.relpath(path, bad_folder.path) for path in kept)
    assert relative == sorted(bad_folder.good)
    reasons = {os.path.relpath(q["source"], bad_folder.path): q["reason"] for q in quarantine}
    assert set(reasons) == set(bad_folder.bad)
    for path, word in bad_folder.bad.items():
        assert word in reasons[path]


def test_dataset_counts_what_is_left(preprocessed, bad_folder):
    folder, _ = preprocessed
    info, records = DatasetInfo.read(folder), _records(folder)
    assert info.examples == {split: len(found) for split, found in records.items()}
    assert info.class_names == ("cat", "dog", "été 夏")
    assert any("empty class" in note for note in info.notes)


def test_odd_images_are_noted_with_a_count_and_an_example(image_folder, tmp_path, encode):
    shutil.copytree(image_folder, tmp_path / "photos")
    for name in ("cat", "dog"):
        transparent = encode(np.zeros((16, 16, 4), np.uint8), "PNG")
        (tmp_path / "photos" / name / "flat.png").write_bytes(transparent)
    output, _ = _preprocess(f"folder:{tmp_path}/photos", tmp_path)
    (note,) = [note for note in DatasetInfo.read(output).notes if "color" in note]
    assert note.startswith("images of one color only, with transparency over white")
    assert re.search(r": 2 \(such as .*cat/flat\.png\)$", note)


def test_every_kept_image_is_read_by_the_decoder_of_the_model(preprocessed):
    folder, _ = preprocessed
    for records in _records(folder).values():
        for record in records:
            pixels = images.decode(tf.constant(record.encoded))
            upright = record.height, record.width
            assert sorted(pixels.shape[:2]) == sorted(upright)


def test_shards_are_equal_in_size_complete_and_shuffled(tmp_path):
    folder, _ = _preprocess("digits", tmp_path, num_shards=4)
    files = sorted(tf.io.gfile.glob(examples.file_pattern(folder, "train")))
    sizes = [sum(1 for _ in tf.data.TFRecordDataset(f)) for f in files]
    assert len(sizes) == 4
    assert max(sizes) < 1.3 * min(sizes)
    records = _records(folder)
    assert sum(map(len, records.values())) == 1797
    ids = [record.source for record in records["train"]]
    assert len(set(ids)) == len(ids)
    assert abs(np.corrcoef(np.argsort(np.argsort(ids)), np.arange(len(ids)))[0, 1]) < 0.1


def test_every_run_has_the_same_bytes_and_another_seed_another_order(image_folder, tmp_path):
    first, again, mixed = (
        _records(_preprocess(f"folder:{image_folder}", tmp_path / name, num_shards=2, **seed)[0])
        for name, seed in {"first": {}, "again": {}, "mixed": {"seed": 1}}.items()
    )
    assert again == first
    for split, records in first.items():
        other = mixed[split]
        assert sorted(map(repr, records)) == sorted(map(repr, other))
        assert len(records) < 8 or records != other


@pytest.mark.parametrize(("allowed", "fails"), [("1%", True), ("60%", False)])
def test_too_many_unusable_images_fail_with_the_reasons(bad_folder, tmp_path, allowed, fails):
    if not fails:
        return _preprocess(f"folder:{bad_folder.path}", tmp_path, max_quarantined=allowed)
    with pytest.raises(ValueError, match="may be unusable") as raised:
        _preprocess(f"folder:{bad_folder.path}", tmp_path, max_quarantined=allowed)
    first, *table = str(raised.value).splitlines()
    images = len(bad_folder.bad) + len(bad_folder.good)
    assert f"{len(bad_folder.bad)} of {images} are" in first
    assert table[0].split() == ["images", "reason", "such", "as"]
    assert sum(int(line.split()[0]) for line in table[1:]) == len(bad_folder.bad)
    assert not (tmp_path / "out" / "partial-work").exists()


@pytest.fixture
def large_photos(tmp_path) -> pathlib.Path:
    """Two classes of 60x40 images, half of them JPEG, and one of 10x12."""
    path = tmp_path / "photos"
    for index in range(12):
        folder = path / ("cat", "dog")[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        size = (10, 12) if index == 11 else (60, 40)
        image = Image.new("RGB", size, (20 * index, 50, 90))
        image.save(folder / f"{index}.{('jpg', 'png')[index // 6]}")
    return path


def test_large_training_images_are_reduced_and_no_others(large_photos, tmp_path):
    """Evaluation and test images stay as they are, so that they are treated as in serving."""
    folder, _ = _preprocess(f"folder:{large_photos}", tmp_path, train_shorter_side=20)
    found = _records(folder)
    assert sum(map(len, found.values())) == 12
    assert found["train"] and found["test"]
    for split, records in found.items():
        for record in records:
            image = Image.open(io.BytesIO(record.encoded))
            assert image.size == (record.width, record.height)
            large = (30, 20) if split == "train" else (60, 40)
            assert image.size == ((10, 12) if record.source.endswith("11.png") else large)
            assert record.format == ("JPEG" if record.source.endswith("jpg") else "PNG")


def test_no_usable_training_image_is_one_clear_error(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "bad" / name).mkdir(parents=True)
        for index in range(3):
            (tmp_path / "bad" / name / f"{index}.jpg").write_text("not an image")
    with pytest.raises(ValueError, match="at least one training image .* must be usable"):
        _preprocess(f"folder:{tmp_path / 'bad'}", tmp_path)
