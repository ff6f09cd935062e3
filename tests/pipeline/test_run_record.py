# SPDX-License-Identifier: Apache-2.0
"""Each local run is recorded however it ends, and can be read from ML Metadata without a record."""

import os

import pytest
from click.testing import CliRunner
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.types.standard_artifacts import Examples, Model

from mixer_tf import recipes
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.reports import stored
from pipeline import report
from pipeline.configs import PipelineConfig
from pipeline.local import run_record
from pipeline.local.step import StepError

FAIL = "MIXER_TF_TEST_FAIL"
COUNTS = {"train": {"a": 3, "b": 4}}


@component
def ImageExampleGen(examples: OutputArtifact[Examples]):
    DatasetInfo("digits", ("a", "b"), COUNTS).write(examples.uri)


@component
def Trainer(examples: InputArtifact[Examples], model: OutputArtifact[Model]):
    if os.environ.get(FAIL) == "Ctrl-C":
        raise KeyboardInterrupt
    if os.environ.get(FAIL):
        raise ValueError("the learning rate must be smaller")
    assets = os.path.join(model.uri, "Format-Serving", "assets.extra")
    os.makedirs(assets)
    with open(os.path.join(assets, "recipe.json"), "w") as file:
        file.write(recipes.get("digits").to_json())


def config_of(root) -> PipelineConfig:
    recipe = recipes.get("digits").override(["training.epochs=3"])
    return PipelineConfig(
        name="digits", root=str(root), source="digits", recipe=recipe, min_accuracy=0.5
    )


def connection(root):
    return metadata.sqlite_metadata_connection_config(str(root / "metadata.sqlite"))


def run(root) -> None:
    read = ImageExampleGen()
    try:
        LocalDagRunner().run(
            Pipeline(
                pipeline_name="digits",
                pipeline_root=str(root),
                components=[read, Trainer(examples=read.outputs["examples"])],
                enable_cache=True,
                metadata_connection_config=connection(root),
            )
        )
    except ValueError as error:
        raise StepError("Trainer") from error


def test_runs_are_recorded_by_time_with_steps_and_artifacts(tmp_path):
    for _ in range(2):
        with run_record.recorded(config_of(tmp_path), connection(tmp_path)):
            run(tmp_path)
    (first, second), problems = stored.all_runs(str(tmp_path))
    assert not problems
    assert first.started <= second.started and first.run < second.run
    assert [(step.name, step.state) for step in first.steps] == [
        ("ImageExampleGen", "complete"),
        ("Trainer", "complete"),
    ]
    assert {step.state for step in second.steps} == {"cached"}
    (examples, model) = first.artifacts
    assert (examples.name, model.name) == ("ImageExampleGen.examples", "Trainer.model")
    assert first.steps[1].inputs == {"examples": (examples.id,)}
    assert first.steps[1].outputs == {"model": (model.id,)}
    assert first.data.images == {"train": 7} and first.recipe.changes == {}
    assert "--min-accuracy=0.5" in first.commands[0].text
    assert stored.newest(str(tmp_path)) == second


def test_a_failed_run_says_which_step_and_why_and_keeps_what_was_there(tmp_path, monkeypatch):
    monkeypatch.setenv(FAIL, "1")
    with (
        pytest.raises(StepError),
        run_record.recorded(config_of(tmp_path), connection(tmp_path)),
    ):
        run(tmp_path)
    found = stored.newest(str(tmp_path))
    assert (found.state, found.error) == ("failed", "Trainer: the learning rate must be smaller")
    assert found.data.images == {"train": 7} and found.model == ""
    assert found.recipe.changes["training.epochs"][1] == 3  # that of the configuration
    assert [step.state for step in found.steps] == ["complete", "failed"]


def test_a_run_that_was_stopped_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv(FAIL, "Ctrl-C")
    with (
        pytest.raises(KeyboardInterrupt),
        run_record.recorded(config_of(tmp_path), connection(tmp_path)),
    ):
        run(tmp_path)
    assert stored.newest(str(tmp_path)).state == "stopped"


def test_a_run_that_has_not_ended_is_unfinished(tmp_path):
    with run_record.recorded(config_of(tmp_path), connection(tmp_path)):
        found = stored.newest(str(tmp_path))
        assert (found.state, found.steps) == ("unfinished", ())
        assert found.recipe.changes["training.epochs"][1] == 3
        run(tmp_path)


def test_a_root_without_records_is_read_from_ml_metadata(tmp_path):
    run(tmp_path)
    with pytest.raises(ValueError, match="python -m pipeline.report"):
        stored.newest(str(tmp_path))
    result = CliRunner().invoke(report.main, [str(tmp_path)])
    assert result.exit_code == 0, result.output
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "ImageExampleGen.examples" in page and "7 <bdi>train</bdi>" in page
    assert "The step Evaluator did not run." in page


def test_a_folder_without_metadata_is_one_clear_line(tmp_path):
    result = CliRunner().invoke(report.main, [str(tmp_path)])
    assert result.exit_code == 1
    (line,) = result.output.strip().splitlines()
    assert line.startswith("Error: ROOT must be the root of a pipeline on this machine")
