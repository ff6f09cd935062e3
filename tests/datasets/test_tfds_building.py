# SPDX-License-Identifier: Apache-2.0
"""Prepared TFDS datasets from any source: TFDS and the tfds: source read back what was stored."""

import json
import pathlib

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from apache_beam.options.pipeline_options import GoogleCloudOptions

from mixer_tf.datasets import tfds_building
from mixer_tf.datasets.quarantine_limit import QuarantineLimit
from mixer_tf.datasets.sources import opening
from mixer_tf.features import SPLITS, ImageRecord

TFDS_NAMES = {"train": "train", "eval": "validation", "test": "test"}


def read(spec: str, data_dir=None) -> dict[str, list[ImageRecord]]:
    source = opening.open_source(spec, data_dir)
    return {s: [r for item in source.shards_of(s) for r in source.read(item)] for s in SPLITS}


def test_bytes_labels_names_and_paths_are_read_back(image_folder, tmp_path):
    source = opening.open_source(f"folder:{image_folder}")
    built = tfds_building.build(source, "tiny_pets_copy", str(tmp_path))
    original, found = read(source.spec), read("tfds:tiny_pets_copy", str(tmp_path))
    for split, records in original.items():
        assert [r.encoded for r in found[split]] == [r.encoded for r in records]
        assert [r.class_name for r in found[split]] == [r.class_name for r in records]
        paths = [str(pathlib.Path(r.source).relative_to(image_folder)) for r in records]
        assert [r.source for r in found[split]] == paths
        assert built.examples[TFDS_NAMES[split]] == len(records)
    assert opening.open_source("tfds:tiny_pets_copy", str(tmp_path)).notes == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny_pets_copy"]


def test_tfds_loads_the_pixels_and_the_classes(image_folder, tmp_path):
    source = opening.open_source(f"folder:{image_folder}")
    tfds_building.build(source, "tiny_pets_copy", str(tmp_path))
    dataset, info = tfds.load(
        "tiny_pets_copy", split="train", data_dir=tmp_path, as_supervised=True, with_info=True
    )
    assert tuple(info.features["label"].names) == source.class_names
    records = read(source.spec)["train"]
    for (pixels, label), record in zip(tfds.as_numpy(dataset), records, strict=True):
        np.testing.assert_array_equal(pixels, tf.io.decode_image(record.encoded, 3).numpy())
        assert label == record.label


def test_unusable_images_are_listed_and_the_others_are_decodable(bad_folder, tmp_path):
    source = opening.open_source(f"folder:{bad_folder.path}")
    built = tfds_building.build(source, "odd", str(tmp_path), version="2.0.1")
    lines = (tmp_path / "odd/2.0.1/quarantine.jsonl").read_text("utf-8").splitlines()
    listed = {
        str(pathlib.Path(json.loads(x)["source"]).relative_to(bad_folder.path)) for x in lines
    }
    assert listed == set(bad_folder.bad)
    assert built.num_unusable == len(bad_folder.bad)
    assert sum(built.examples.values()) == len(bad_folder.good)
    loaded = [e for s in TFDS_NAMES.values() for e in tfds.load("odd", split=s, data_dir=tmp_path)]
    assert {e["image_source"].numpy().decode() for e in loaded} == set(bad_folder.good)
    assert tfds.load("odd", split="train", data_dir=tmp_path).element_spec["image"].shape[-1] == 3


def test_too_many_unusable_images_leave_nothing(bad_folder, tmp_path):
    source = opening.open_source(f"folder:{bad_folder.path}")
    with pytest.raises(ValueError, match="at most 1% of the images may be unusable"):
        tfds_building.build(source, "odd", str(tmp_path), limit=QuarantineLimit.parse("1%"))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("My-Pets", "1.0.0", r"small letters, .*got 'My-Pets'. Use 'my_pets'"),
        ("2pets", "1.0.0", "Use 'images_2pets'"),
        ("cifar10", "1.0.0", "must not be that of a dataset of TFDS"),
        ("pets", "1.0", "three numbers such as 1.0.0; got '1.0'"),
    ],
)
def test_other_names_are_refused(image_folder, tmp_path, name, version, message):
    source = opening.open_source(f"folder:{image_folder}")
    with pytest.raises(ValueError, match=message):
        tfds_building.build(source, name, str(tmp_path), version=version)


def test_an_existing_dataset_is_not_overwritten(image_folder, tmp_path):
    source = opening.open_source(f"folder:{image_folder}")
    tfds_building.build(source, "pets", str(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(ValueError, match="must not exist yet"):
        tfds_building.build(source, "pets", str(tmp_path))
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


class MadeByBeam(tfds.core.GeneratorBasedBuilder):
    """Six numbers, and the name of the job of Beam."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Write numbers.txt yourself."

    def _info(self):
        kinds = {"number": np.int64, "job": tfds.features.Text()}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(kinds))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(dl_manager.manual_dir / "numbers.txt")}

    def _generate_examples(self, path):
        return ReadNumbers([int(line) for line in path.read_text().split()])


class ReadNumbers(beam.PTransform):
    def __init__(self, numbers):
        super().__init__()
        self._numbers = numbers

    def expand(self, pbegin):
        job = pbegin.pipeline.options.view_as(GoogleCloudOptions).job_name
        return pbegin | beam.Create([(n, {"number": n, "job": job}) for n in self._numbers])


def test_a_builder_of_tfds_gets_the_options_of_beam_and_the_files(tmp_path):
    (tmp_path / "files").mkdir()
    with pytest.raises(ValueError, match="by hand; .*files has none. .*Write numbers.txt yourself"):
        tfds_building.prepare(
            "made_by_beam", str(tmp_path / "tfds"), manual_dir=str(tmp_path / "files")
        )
    (tmp_path / "files" / "numbers.txt").write_text("1 2 3 5 8 13")
    built = tfds_building.prepare(
        *("made_by_beam", str(tmp_path / "tfds")),
        manual_dir=str(tmp_path / "files"),
        beam_options="--job_name=seen-by-beam --runner=DirectRunner",
    )
    assert built.examples == {"train": 6}
    loaded = tfds.load("made_by_beam", split="train", data_dir=tmp_path / "tfds")
    found = [(int(each["number"]), each["job"].numpy()) for each in loaded]
    assert sorted(found) == [(n, b"seen-by-beam") for n in (1, 2, 3, 5, 8, 13)]
    assert tfds_building.prepare("made_by_beam", str(tmp_path / "tfds")) == built
