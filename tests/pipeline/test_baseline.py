# SPDX-License-Identifier: Apache-2.0
"""The baseline of a model is the newest other blessed one, in real runs with their cache."""

import pathlib

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.types.standard_artifacts import Model, ModelBlessing

from pipeline.stages import earlier_model

COMPARED = []


@component
def Trainer(seed: Parameter[int], model: OutputArtifact[Model]):
    pathlib.Path(model.uri, "seed").write_text(str(seed))


@component
def Evaluator(
    model: InputArtifact[Model],
    blessing: OutputArtifact[ModelBlessing],
    baseline: InputArtifact[Model] = None,
):
    seeds = [each and pathlib.Path(each.uri, "seed").read_text() for each in (model, baseline)]
    COMPARED.append(tuple(seeds))
    blessing.set_int_custom_property("blessed", 1)
    blessing.set_int_custom_property("current_model_id", model.id)


def run(root: pathlib.Path, seed: int) -> tuple[str, str | None] | None:
    """Runs Trainer, Resolver and Evaluator; returns what was compared, None from the cache."""
    COMPARED.clear()
    trainer = Trainer(seed=seed)
    baseline = earlier_model.create_baseline_resolver(trainer.outputs["model"])
    evaluator = Evaluator(model=trainer.outputs["model"], baseline=baseline.outputs["model"])
    made = Pipeline(
        pipeline_name="small",
        pipeline_root=str(root),
        components=[trainer, baseline, evaluator],
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            str(root / "metadata.sqlite")
        ),
    )
    LocalDagRunner().run(made)
    return COMPARED[0] if COMPARED else None


def test_a_model_is_compared_with_another_one_and_not_again_with_itself(tmp_path):
    assert run(tmp_path, 1) == ("1", None)
    assert run(tmp_path, 1) is None
    assert run(tmp_path, 2) == ("2", "1")
    assert run(tmp_path, 2) is None
    assert run(tmp_path, 1) == ("1", "2")  # an earlier model, after another one was blessed
