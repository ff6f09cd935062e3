# SPDX-License-Identifier: Apache-2.0
"""A root that was moved or partly deleted: what is gone is no longer a baseline or cached."""

import os
import pathlib
import shutil

import ml_metadata as mlmd
import pytest
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
    LatestBlessedModelStrategy,
)
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.types import Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

from pipeline.local import missing_outputs, step_selection

BASELINES = []


@component
def Trainer(model: OutputArtifact[Model]):
    folder = pathlib.Path(model.uri, "Format-Serving")
    folder.mkdir()
    (folder / "saved_model.pb").touch()


@component
def Evaluator(
    model: InputArtifact[Model],
    blessing: OutputArtifact[ModelBlessing],
    baseline: InputArtifact[Model] = None,
):
    BASELINES.append(baseline.uri if baseline else None)
    blessing.set_int_custom_property("blessed", 1)
    blessing.set_int_custom_property("current_model_id", model.id)


def connection(root):
    return metadata.sqlite_metadata_connection_config(str(root / "metadata.sqlite"))


def make_pipeline(root, resolver_id: str = "Resolver") -> Pipeline:
    resolver = Resolver(
        strategy_class=LatestBlessedModelStrategy,
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
    ).with_id(resolver_id)
    trainer = Trainer()
    evaluator = Evaluator(model=trainer.outputs["model"], baseline=resolver.outputs["model"])
    return Pipeline(
        pipeline_name="small",
        pipeline_root=str(root),
        components=[trainer, resolver, evaluator],
        enable_cache=True,
        metadata_connection_config=connection(root),
    )


def run(root) -> str | None:
    """Runs the pipeline as the local runner does; returns the baseline that its Evaluator saw."""
    LocalDagRunner().run(make_pipeline(root))
    return BASELINES[-1]


@pytest.fixture
def root(tmp_path) -> pathlib.Path:
    """The root of a finished run."""
    root = tmp_path / "root"
    root.mkdir()
    assert run(root) is None
    return root


def model_folder(root) -> pathlib.Path:
    (folder,) = (root / "Trainer" / "model").iterdir()
    return folder


def executions(root) -> list[int]:
    store = mlmd.MetadataStore(connection(root))
    types = [type.name for type in store.get_execution_types() if type.name.endswith("Trainer")]
    return [execution.last_known_state for execution in store.get_executions_by_type(types[0])]


def test_what_is_there_stays_a_baseline_and_a_cached_result(root):
    assert missing_outputs.forget(connection(root), str(root)) == ()
    assert run(root) == str(model_folder(root))
    assert executions(root) == [mlmd.proto.Execution.COMPLETE, mlmd.proto.Execution.CACHED]


@pytest.mark.parametrize("gone", [".", "Format-Serving", "Format-Serving/saved_model.pb"])
def test_a_removed_model_is_neither(root, gone):
    path = model_folder(root) / gone
    path.unlink() if path.is_file() else shutil.rmtree(path.resolve())
    (note,) = missing_outputs.forget(connection(root), str(root))
    assert note.startswith("the files of 1 output of earlier runs (Trainer) are no longer in ")
    assert missing_outputs.steps_of_newest_run(connection(root)) == {"Trainer"}
    assert run(root) is None
    assert executions(root) == [mlmd.proto.Execution.COMPLETE] * 2
    assert missing_outputs.forget(connection(root), str(root)) == ()


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_moved_root_works_again(root, tmp_path, is_replaced):
    """Even where something else was written to the old path since."""
    moved = tmp_path / "moved"
    root.rename(moved)
    if is_replaced:
        root.mkdir()
        run(root)
    (note,) = missing_outputs.forget(connection(moved), str(moved))
    assert note.startswith("the files of 2 outputs of earlier runs (Trainer, Evaluator) are no ")
    assert run(moved) is None
    assert len(os.listdir(moved / "Trainer" / "model")) == 2


def test_from_a_step_whose_inputs_are_gone_says_which(root):
    shutil.rmtree(root / "Trainer")
    missing_outputs.forget(connection(root), str(root))
    with pytest.raises(ValueError, match="--from=Evaluator needs .* those of Trainer are gone"):
        step_selection.require_earlier_outputs(connection(root), make_pipeline(root), "Evaluator")
    step_selection.require_earlier_outputs(connection(root), make_pipeline(root), "Trainer")


def test_from_a_step_that_needs_one_which_never_ran_says_which(root):
    """As with --from=Trainer --warm-start after a run without --warm-start."""
    larger = make_pipeline(root, resolver_id="BaseModelResolver")
    with pytest.raises(ValueError, match="it did not complete BaseModelResolver. Run once without"):
        step_selection.require_earlier_outputs(connection(root), larger, "Evaluator")
