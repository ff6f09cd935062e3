# SPDX-License-Identifier: Apache-2.0
"""RunReport: from the artifacts of a run to its page, with all of them, with some, with none."""

import base64
import html
import json
import re
import shlex
import shutil

import pandas as pd
import pytest
import tensorflow_model_analysis as tfma
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.types import artifact_utils, standard_artifacts

from components.artifacts import (
    DeduplicationReport,
    FewShotReport,
    PipelineReport,
    QuarantineReport,
)
from components.run_report import RunReport
from components.run_report.collection import OUTPUTS
from components.run_report.component import RunReportSpec
from components.run_report.executor import Executor
from mixer_tf import features, recipes
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.evaluation import mistakes
from mixer_tf.evaluation.classification import LabeledPrediction
from mixer_tf.reports.facts import RunFacts
from mixer_tf.training.tensorboard.event_files import RunLog
from pipeline.eval_config import make_eval_config

NAMES = ("cat", "dog")
REASON = "accuracy 0.7500, required 0.9000"


def artifact(kind, folder, **properties):
    made = kind()
    made.uri = str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in properties.items():
        setter = made.set_int_custom_property if isinstance(value, int) else None
        (setter or made.set_string_custom_property)(name, value)
    return made


def write_examples(folder, counts):
    made = artifact(standard_artifacts.Examples, folder)
    DatasetInfo("folder:/pets & co", NAMES, counts, ("a <note>",)).write(made.uri)
    return made


def write_evaluation(folder):
    """Three of four predictions are right, where nine of ten are required."""
    predictions = [("cat", "cat"), ("cat", "cat"), ("dog", "cat"), ("dog", "dog")]
    rows = [
        {
            features.LABEL: NAMES.index(name),
            features.CLASS_NAME: name,
            "probabilities": [float(prediction == other) for other in NAMES],
        }
        for name, prediction in predictions
    ]
    config = make_eval_config(0.9, max_accuracy_drop=1.0)
    config.model_specs[0].ClearField("signature_name")
    config = tfma.utils.update_eval_config_with_defaults(
        config, has_baseline=False, rubber_stamp=True
    )
    tfma.analyze_raw_data(pd.DataFrame(rows), config, output_path=str(folder))
    (folder / "evaluation.html").write_text("plots")
    return artifact(standard_artifacts.ModelEvaluation, folder)


def wrong_prediction(index: int) -> mistakes.Mistake:
    prediction = LabeledPrediction(
        f"{index}.png", "dog", "cat", 0.9 - index / 100, 2, 0.1 - index / 1000
    )
    return mistakes.Mistake(prediction, bytes([index]))


def write_anomalies(folder):
    found = anomalies_pb2.Anomalies()
    made = artifact(standard_artifacts.ExampleAnomalies, folder)
    made.split_names = artifact_utils.encode_split_names(["train"])
    (folder / "Split-train").mkdir()
    (folder / "Split-train" / "SchemaDiff.pb").write_bytes(found.SerializeToString())
    return made


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """What the steps have written, with their names as inputs of RunReport."""
    root = tmp_path_factory.mktemp("root")
    recipe = recipes.get("digits").override(["training.epochs=3", "optimizer.learning_rate=0.5"])
    model = artifact(standard_artifacts.Model, root / "model")
    assets = root / "model" / "Format-Serving" / "assets.extra"
    assets.mkdir(parents=True)
    (assets / "recipe.json").write_text(recipe.to_json())
    log = RunLog(str(root / "logs" / "digits-1"))
    for step, value in ((10, 0.25), (20, 0.75)):
        log.write_scalar("eval/top_1", value, step)
    log.close()
    model_run = artifact(standard_artifacts.ModelRun, root / "model_run")
    (root / "model_run" / "logs.txt").write_text(f"{root / 'logs' / 'digits-1'}\n")
    quarantine = artifact(QuarantineReport, root / "quarantine")
    line = {"source": "a.jpg", "split": "train", "class_name": "cat", "reason": "empty file"}
    (root / "quarantine" / "quarantine.jsonl").write_text(json.dumps(line) + "\n")
    duplicates = artifact(DeduplicationReport, root / "duplicates")
    report = {"mode": "remove", "removed": 2, "duplicates_by_set": {"test": 2}}
    (root / "duplicates" / "report.json").write_text(json.dumps(report))
    tuned = artifact(standard_artifacts.HyperParameters, root / "tuned")
    best = {"values": {"optimizer.learning_rate": 0.5}}
    (root / "tuned" / "best_hyperparameters.txt").write_text(json.dumps(best))
    few_shot = artifact(FewShotReport, root / "probes")
    probes = [{"shots": 5, "mean": 0.81234, "standard_deviation": 0.012}]
    (root / "probes" / "fewshot.json").write_text(json.dumps({"results": probes}))
    reason = "the Evaluator did not bless the model"
    return {
        "source_examples": write_examples(root / "read", {"train": {"cat": 5, "dog": 3}}),
        "examples": write_examples(root / "examples", {"train": {"cat": 3, "dog": 2}}),
        "quarantine": quarantine,
        "duplicates": duplicates,
        "anomalies": write_anomalies(root / "anomalies"),
        "hyperparameters": tuned,
        "model": model,
        "model_run": model_run,
        "evaluation": write_evaluation(root / "evaluation"),
        "few_shot": few_shot,
        "model_blessing": artifact(standard_artifacts.ModelBlessing, root / "b", blessed=0),
        "infra_blessing": artifact(standard_artifacts.InfraBlessing, root / "i", blessed=1),
        "pushed_model": artifact(
            standard_artifacts.PushedModel, root / "pushed", pushed=0, reason=reason
        ),
    }


def report(folder, artifacts, **properties) -> tuple[RunFacts, str]:
    """Runs the executor as TFX does; returns the facts, and the text of the page."""
    output = artifact(PipelineReport, folder)
    properties = {"pipeline_name": "pets", **properties}
    Executor().Do({k: [v] for k, v in artifacts.items()}, {"report": [output]}, properties)
    page = (folder / "report.html").read_text("utf-8")
    text = " ".join(html.unescape(re.sub("<[^>]+>", " ", page)).split())
    return RunFacts.from_json((folder / "report.json").read_text("utf-8")), text


def test_every_section_says_what_its_step_has_written(artifacts, tmp_path):
    facts, page = report(tmp_path / "out", artifacts, options='["--min-accuracy=0.9"]', root="/r")
    assert facts.data.read == {"train": 8} and facts.data.images == {"train": 5}
    assert facts.quarantine.reasons == {"empty file": (1, "a.jpg")}
    assert facts.duplicates.removed == {"train": 2, "eval": 0}
    epochs = recipes.get("digits").training.epochs
    assert facts.recipe.changes["training.epochs"] == (epochs, 3)
    assert facts.recipe.tuned == {"optimizer.learning_rate": 0.5}
    assert facts.training.scalars["eval/top_1"] == ((10, 0.25), (20, 0.75))
    assert facts.evaluation.metrics["accuracy"] == 0.75
    assert facts.evaluation.classes == {"cat": (2, 2), "dog": (2, 1)}
    assert facts.statistics is None and "The step ImageStatistics did not run." in page
    plots = f"calibration and confusion matrix: {artifacts['evaluation'].uri}/evaluation.html"
    assert plots in page and "5-shot 0.8123 ± 0.0120" in page
    for words in ("a <note>", "empty file 1 a.jpg", "dog 2 1 0.5000", "top-1 accuracy 0.7500"):
        assert words in page, words


def test_mistakes_are_those_that_the_evaluator_has_listed(artifacts, tmp_path):
    evaluation = artifact(standard_artifacts.ModelEvaluation, tmp_path / "evaluation")
    shutil.copytree(artifacts["evaluation"].uri, evaluation.uri, dirs_exist_ok=True)
    given = {**artifacts, "evaluation": evaluation}
    (tmp_path / "reports").mkdir()  # as the local runner makes it
    facts, page = report(tmp_path / "older", given, root=str(tmp_path))
    assert facts.evaluation.mistakes is None and "mixer report … --evaluate" in page
    assert f"mixer report {tmp_path} --evaluate" in page

    wrong = [wrong_prediction(index) for index in range(30)]
    found = {mistakes.MOST_CONFIDENT: wrong, mistakes.WORST: wrong[::-1]}
    mistakes.write(evaluation.uri, found)
    facts, page = report(tmp_path / "out", given, root=str(tmp_path))
    assert facts.evaluation.num_mistakes == 1  # of the four images that TFMA has counted
    for shown, kept in (
        (facts.evaluation.mistakes, wrong[:20]),
        (facts.evaluation.worst_mistakes, wrong[:-21:-1]),
    ):
        for each, mistake in zip(shown, kept, strict=True):
            assert base64.b64decode(each.thumbnail) == mistake.preview
            for name in ("image", "class_name", "predicted", "probability", "rank"):
                assert getattr(each, name) == getattr(mistake.prediction, name)
    assert "The 20 whose class got the lowest probability" in page
    assert "dog (10.0%, rank 2) taken for cat (90.0%) 0.png" in page
    assert f"mixer report {tmp_path} --evaluate" not in page
    assert f"make this page again mixer report {tmp_path}" in page


def test_gates_say_why_nothing_was_pushed(artifacts, tmp_path):
    facts, page = report(tmp_path / "out", artifacts)
    found = {gate.name: (gate.passed, gate.reasons) for gate in facts.gates}
    reason = "the Evaluator did not bless the model"
    assert found["Evaluator"] == (False, (reason, REASON))
    assert found["ExampleValidator"] == found["ModelChecker"] == (True, ())
    assert set(found) == {"Evaluator", "ExampleValidator", "ModelChecker"}  # the others are off
    assert f"Nothing was pushed: {reason}" in page


def test_the_command_gives_the_same_run_again(artifacts, tmp_path):
    (tmp_path / "reports").mkdir()  # as the local runner makes it
    options, root = '["--tune", "--grid=a=1,2"]', str(tmp_path)
    facts, _ = report(tmp_path / "out", artifacts, options=options, root=root)
    assert shlex.split(facts.commands[0].text) == [
        *("python", "-m", "pipeline.local_runner", "--source=folder:/pets & co"),
        *("--recipe=digits", "--set", "training.epochs=3"),  # without what the search sets
        *("--tune", "--grid=a=1,2", f"--root={root}"),
    ]
    facts, _ = report(tmp_path / "cluster", artifacts, root="/mnt/volume/root")
    assert "--root" not in facts.commands[0].text
    assert not any("/mnt" in command.text for command in facts.commands)


def test_without_inputs_the_page_says_that_nothing_ran(tmp_path):
    facts, page = report(tmp_path, {})
    assert facts.data is None and facts.evaluation is None
    assert all(gate.passed is None for gate in facts.gates)
    assert "No images were read" in page and "Pusher did not run" in page


def test_logs_that_are_gone_are_no_error(artifacts, tmp_path):
    model_run = artifact(standard_artifacts.ModelRun, tmp_path / "run")
    (tmp_path / "run" / "logs.txt").write_text("/gone\n")
    facts, page = report(tmp_path / "out", {**artifacts, "model_run": model_run})
    assert facts.training is None and "The logs of the training are no longer there." in page


def test_logs_in_the_artifact_are_found_as_on_a_cluster(artifacts, tmp_path):
    log = RunLog(str(tmp_path / "run" / "digits-20261126"))
    log.write_scalar("train/loss", 0.5, 3)
    log.close()
    model_run = artifact(standard_artifacts.ModelRun, tmp_path / "run")
    facts, _ = report(tmp_path / "out", {**artifacts, "model_run": model_run})
    assert facts.training.scalars == {"train/loss": ((3, 0.5),)}


def test_the_component_takes_every_output_that_is_collected():
    assert set(RunReportSpec.INPUTS) == set(OUTPUTS)
    component = RunReport(pipeline_name="n")
    assert list(component.outputs) == ["report"]
    assert component.outputs["report"].type is PipelineReport
