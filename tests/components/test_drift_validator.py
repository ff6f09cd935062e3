# SPDX-License-Identifier: Apache-2.0
"""Drift by the real TFDV: which data stop a push, what the reason says, what the next run sees."""

import os
import pathlib

import numpy as np
import pyarrow
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.types import artifact_utils, standard_artifacts

from components.artifacts import ReferenceStatistics
from components.drift_validator import comparison
from components.drift_validator.executor import NOTE, Executor
from components.pusher import gates
from mixer_tf import features
from pipeline.configs import SCHEMA_FILE


def make_statistics(classes, widths, formats=None):
    """Statistics of as many images as there are classes."""
    formats = formats if formats is not None else ["JPEG"] * len(classes)
    columns = {
        features.CLASS_NAME: [[name.encode()] for name in classes],
        features.FORMAT: [[name.encode()] for name in formats],
        features.WIDTH: [[int(width)] for width in widths],
        features.HEIGHT: [[8] for _ in classes],
    }
    batch = pyarrow.RecordBatch.from_arrays([*map(pyarrow.array, columns.values())], [*columns])
    return stats_impl.generate_statistics_in_memory(batch, tfdv.StatsOptions())


def draw(seed: int, count: int = 400, cats: float = 0.5, width: float = 500, png: float = 0.5):
    rng = np.random.default_rng(seed)
    return make_statistics(
        rng.choice(["cat", "dog"], count, p=[cats, 1 - cats]),
        rng.normal(width, 100, count).clip(8),
        rng.choice(["PNG", "JPEG"], count, p=[png, 1 - png]),
    )


class Runs:
    """One run after the other, each with the reference that the one before left."""

    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        self._count = 0
        self.reference = None
        self.kept = {}  # the parameters by which the reference is kept in a folder
        self.schema = self._make(standard_artifacts.Schema)
        text = pathlib.Path(SCHEMA_FILE).read_text()
        (pathlib.Path(self.schema.uri) / "schema.pbtxt").write_text(text)

    def _make(self, kind):
        self._count += 1
        artifact = kind()
        artifact.uri = str(self._folder / str(self._count))
        os.makedirs(artifact.uri)
        return artifact

    def run(self, allow_drift: bool = False, **splits) -> tuple[list[str], str]:
        """Returns the reasons not to push, and the note."""
        statistics = self._make(standard_artifacts.ExampleStatistics)
        statistics.split_names = artifact_utils.encode_split_names(list(splits))
        for split, each in splits.items():
            path = pathlib.Path(statistics.uri) / f"Split-{split}" / "FeatureStats.pb"
            path.parent.mkdir()
            path.write_bytes(each.SerializeToString())
        inputs = {"statistics": [statistics], "schema": [self.schema]}
        if self.reference and not self.kept:
            inputs["reference"] = [self.reference]
        anomalies = self._make(standard_artifacts.ExampleAnomalies)
        self.reference = self._make(ReferenceStatistics)
        outputs = {"anomalies": [anomalies], "next_reference": [self.reference]}
        Executor().Do(inputs, outputs, {"allow_drift": int(allow_drift), **self.kept})
        note = anomalies.get_string_custom_property(NOTE)
        return gates.reasons_not_to_push({"drift": [anomalies]}), note


@pytest.fixture
def runs(tmp_path) -> Runs:
    return Runs(tmp_path)


def test_first_run_and_same_data_again_pass_without_a_note(runs):
    assert runs.run(train=draw(0), eval=draw(1, 50)) == ([], "")
    assert runs.run(train=draw(0), eval=draw(1, 50)) == ([], "")


def test_more_data_of_the_same_kind_pass(runs):
    assert runs.run(train=draw(0, 300)) == ([], "")
    for seed in range(1, 20):
        assert runs.run(train=draw(seed, 250)) == ([], "")


@pytest.mark.parametrize(
    ("change", "feature", "distance"),
    [
        (dict(cats=0.9), "image/class/text", "difference of shares 0.4"),
        (dict(png=1.0), "image/format", "difference of shares 0.5"),
        (dict(width=1500), "image/width", "Jensen-Shannon divergence 1.00"),
    ],
)
def test_drift_stops_the_push_and_the_reason_names_feature_and_distance(
    runs, change, feature, distance
):
    runs.run(train=draw(0), test=draw(1))
    (reason,), note = runs.run(train=draw(2, **change), test=draw(3))
    assert reason.startswith(f"drift in train: {feature}: {distance}"), reason
    assert ", allowed 0.20" in reason and reason.endswith("(--allow-drift accepts these data)")
    assert note == ""


def test_drifted_data_do_not_pass_by_being_run_again(runs):
    runs.run(train=draw(0))
    for _ in range(2):
        reasons, _ = runs.run(train=draw(1, width=1500))
        assert len(reasons) == 1
    assert runs.run(train=draw(2)) == ([], "")


def test_allowed_drift_is_noted_and_becomes_the_reference(runs):
    runs.run(train=draw(0))
    reasons, note = runs.run(allow_drift=True, train=draw(1, width=1500))
    assert reasons == []
    assert note.startswith("drift is allowed: image/width in train: Jensen-Shannon divergence 1.00")
    assert runs.run(train=draw(2, width=1500)) == ([], "")
    assert len(runs.run(train=draw(0))[0]) == 1


def test_too_few_images_are_noted_and_not_judged(runs):
    runs.run(train=draw(0, 199), eval=draw(1, 20))
    reasons, note = runs.run(train=draw(2, 400, width=1500), eval=draw(3, 20, width=1500))
    assert reasons == []
    assert note == (
        "drift from the last accepted data was not judged in eval (20 images, 200 needed), "
        "train (199 images, 200 needed)"
    )


def test_a_split_that_has_become_empty_is_noted(runs):
    """The ExampleValidator stops the push."""
    runs.run(train=draw(0))
    reasons, note = runs.run(train=statistics_pb2.DatasetFeatureStatisticsList())
    assert reasons == [] and "not judged in train (0 images, 200 needed)" in note


def test_a_new_class_that_is_large_can_be_allowed(runs):
    runs.run(train=make_statistics(["cat", "dog"] * 200, [8] * 400))
    third = make_statistics(["cat", "dog", "été 猫"] * 200, [8] * 600)
    (reason,), _ = runs.run(train=third)
    assert "difference of shares 0.33, allowed 0.20, most for 'été 猫'" in reason
    assert runs.run(allow_drift=True, train=third)[0] == []


def test_a_split_that_the_reference_lacks_is_not_compared(runs):
    runs.run(train=draw(0))
    assert runs.run(train=draw(0), test=draw(1, width=1500)) == ([], "")


def test_a_change_over_many_classes_is_found_and_chance_is_not():
    """Of 100 classes, each has a small share; half of them become three times as frequent."""
    names = [f"{index:02}" for index in range(100)]
    schema = tfdv.load_schema_text(SCHEMA_FILE)
    rng = np.random.default_rng(0)
    shares = np.repeat([1.5, 0.5], 50) / 100
    same, other = (
        make_statistics(rng.choice(names, 2000, p=p), [8] * 2000) for p in (None, shares)
    )
    equal = make_statistics(rng.choice(names, 2000), [8] * 2000)
    assert not comparison.find_drift(equal, same, schema).anomaly_info
    flipped = make_statistics(rng.choice(names, 2000, p=shares[::-1]), [8] * 2000)
    drift = comparison.find_drift(flipped, other, schema)
    assert list(drift.anomaly_info) == [features.CLASS_NAME]
    assert "Jensen-Shannon divergence 0.2" in drift.anomaly_info[features.CLASS_NAME].description
    assert comparison.images_missing(equal, same) is None
    assert comparison.images_missing(make_statistics(names * 19, [8] * 1900), same) == (1900, 2000)


def test_a_folder_keeps_the_last_accepted_data_where_no_artifact_is_found(runs, tmp_path):
    runs.kept = {"reference_dir": "reference", "root": str(tmp_path)}
    assert runs.run(train=draw(0)) == ([], "")
    file = tmp_path / "reference" / "Split-train" / "FeatureStats.pb"
    accepted = file.read_bytes()
    for _ in range(2):  # drifted data do not become the reference by being run a second time
        assert len(runs.run(train=draw(1, width=1500))[0]) == 1
        assert file.read_bytes() == accepted
    assert runs.run(allow_drift=True, train=draw(1, width=1500))[0] == []
    assert file.read_bytes() != accepted
    assert runs.run(train=draw(2, width=1500)) == ([], "")
