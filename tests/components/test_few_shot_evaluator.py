# SPDX-License-Identifier: Apache-2.0
"""FewShotEvaluator, run by TFX and Beam: the accuracies of `mixer fewshot` on the same images."""

import json
import os

import harness
import pytest
from tfx.types import channel_utils, standard_artifacts

from components.artifacts import FewShotReport
from components.few_shot_evaluator import FewShotEvaluator
from components.few_shot_evaluator.executor import NOTE, Executor
from components.image_example_gen import executor as image_example_gen
from mixer_tf import factory
from mixer_tf.datasets.sources import opening
from mixer_tf.evaluation import fewshot_source
from mixer_tf.evaluation.image_features import FeatureExtractor
from mixer_tf.export import saved_model


@pytest.fixture(scope="module")
def keras_model():
    return harness.randomize(factory.from_recipe(harness.tiny_recipe(), 3))


@pytest.fixture(scope="module")
def model(keras_model, tmp_path_factory):
    artifact = standard_artifacts.Model()
    artifact.uri = str(tmp_path_factory.mktemp("model"))
    path = os.path.join(artifact.uri, "Format-Serving")
    saved_model.export_saved_model(keras_model, harness.tiny_recipe(), ("a", "b", "c"), path)
    return artifact


def run(model, source: str, folder, shots) -> FewShotReport:
    examples, report = standard_artifacts.Examples(), FewShotReport()
    examples.uri, report.uri = (str(folder / name) for name in ("examples", "report"))
    image_example_gen.Executor().Do({}, {"examples": [examples]}, {"source": source})
    inputs = {"examples": [examples], "model": [model]}
    Executor().Do(inputs, {"report": [report]}, {"shots": json.dumps(shots)})
    return report


def test_the_accuracies_are_those_of_the_command(model, keras_model, bad_folder, tmp_path):
    spec = f"folder:{bad_folder.path}"
    report = run(model, spec, tmp_path, [1, 5, 25])
    assert os.listdir(report.uri) == ["fewshot.json"]
    with open(os.path.join(report.uri, "fewshot.json")) as file:
        found = json.load(file)
    expected = fewshot_source.probe_source(
        FeatureExtractor(keras_model),
        opening.open_source(spec),
        ["train"],
        ["test"],
        shots=(1, 5, 25),
        leave_out=True,
    ).to_dict()
    assert found["results"] == json.loads(json.dumps(expected["results"]))
    assert [each["shots"] for each in found["results"]] == [1, 5]
    for name in ("train", "test", "classes", "features", "preprocessing", "seeds", "l2", "source"):
        assert found[name] == json.loads(json.dumps(expected[name]))
    note = report.get_string_custom_property(NOTE)
    assert "few-shot: 25 shots: no class has as many training images" in note
    assert "few-shot: images that cannot be used, which were left out: " in note
    assert {line.removeprefix("few-shot: ") for line in note.splitlines()[1:]} == set(
        expected["notes"][1:]
    )


def test_without_a_usable_image_there_is_a_note_and_no_failure(model, unusable_folder, tmp_path):
    report = run(model, f"folder:{unusable_folder}", tmp_path, [1])
    note = report.get_string_custom_property(NOTE)
    assert note == "few-shot: no usable image in the split train and test"


def test_the_component_passes_its_parameters_on():
    examples, model = (
        channel_utils.as_channel([kind()])
        for kind in (standard_artifacts.Examples, standard_artifacts.Model)
    )
    component = FewShotEvaluator(examples, model, (5, 10), fingerprint="1")
    assert component.exec_properties == {"shots": "[5, 10]", "fingerprint": "1"}
    assert component.outputs["report"].type is FewShotReport
