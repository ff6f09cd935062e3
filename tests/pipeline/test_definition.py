# SPDX-License-Identifier: Apache-2.0
"""The graph compiles for every runner, and each step is in what was compiled."""

import json

import pytest
import yaml
from tfx.orchestration.kubeflow import kubeflow_dag_runner
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from mixer_tf import recipes
from pipeline.configs import PipelineConfig
from pipeline.definition import create_pipeline

STEPS = {
    *("ImageExampleGen", "Deduplicator", "Preprocessor"),
    *("StatisticsGen", "ImportSchemaGen", "ExampleValidator"),
    *("Trainer", "Resolver", "Evaluator", "ModelChecker", "Pusher"),
}
IMAGE = "registry.example/mixer-tf:test"


@pytest.fixture
def config(tmp_path) -> PipelineConfig:
    return PipelineConfig(
        name="digits",
        root=str(tmp_path / "root"),
        source="digits",
        recipe=recipes.get("digits"),
        downstream_test_sets=("digits",),
        shorter_side=256,
    )


def test_steps_are_those_of_the_picture(config):
    assert {node.id for node in create_pipeline(config).components} == STEPS


def test_compiles_for_kubeflow_pipelines_v1(config, tmp_path):
    kubeflow_dag_runner.KubeflowDagRunner(
        output_dir=str(tmp_path),
        output_filename="digits.yaml",
        config=kubeflow_dag_runner.KubeflowDagRunnerConfig(tfx_image=IMAGE),
    ).run(create_pipeline(config))
    workflow = yaml.safe_load((tmp_path / "digits.yaml").read_text())
    templates = {template["name"]: template for template in workflow["spec"]["templates"]}
    for step in STEPS:
        assert templates[step.lower()]["container"]["image"] == IMAGE


@pytest.mark.parametrize("new_spec", [False, True], ids=["2.0", "2.1"])
def test_compiles_for_kubeflow_pipelines_v2_and_vertex(config, tmp_path, new_spec):
    path = tmp_path / "digits.json"
    kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image=IMAGE, use_pipeline_spec_2_1=new_spec
        ),
        output_filename=str(path),
    ).run(create_pipeline(config))
    spec = json.loads(path.read_text())
    tasks = spec.get("pipelineSpec", spec)["root"]["dag"]["tasks"]
    # A Resolver with a strategy becomes one task for the model and one for its blessing.
    assert {name.split("-")[0] for name in tasks} == STEPS
