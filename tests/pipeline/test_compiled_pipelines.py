# SPDX-License-Identifier: Apache-2.0
"""Compiled pipelines run as an orchestrator would run them, and push the local runner's model."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import orchestrators
import pytest
import tensorflow as tf

from mixer_tf import recipes
from mixer_tf.datasets.sources import opening
from mixer_tf.evaluation import mistakes
from mixer_tf.export.loading import open_export

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(3000)]
FAST = "training.epochs=2"
COMMON = ["--source=digits", "--min-accuracy=0.2"]


def _run(*arguments: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=orchestrators.ROOT,
        capture_output=True,
        text=True,
        timeout=1000,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def _compile(target: str, path: pathlib.Path, *arguments: str) -> pathlib.Path:
    _run(
        "pipeline.kubeflow_runner",
        f"--target={target}",
        f"--output={path}",
        "--root=gs://bucket/elsewhere",  # replaced when the run starts
        "--image=registry.example/mixer-tf:1",
        *COMMON,
        *arguments,
    )
    return path


def _pushed(folder: pathlib.Path) -> list[str]:
    return [str(folder / name) for name in sorted(os.listdir(folder))]


@pytest.fixture(scope="module")
def local_model(tmp_path_factory) -> str:
    root = tmp_path_factory.mktemp("local")
    _run("pipeline.local_runner", f"--root={root}", "--set", FAST, *COMMON)
    (model,) = _pushed(root / "serving")
    return model


@pytest.fixture(scope="module")
def images() -> tf.Tensor:
    source = opening.open_source("digits")
    shards = source.shards_of("test")
    return tf.constant([record.encoded for shard in shards for record in source.read(shard)])


def assert_same_model(path: str, expected: str, images: tf.Tensor) -> None:
    """The same answers for every test image, bit by bit."""
    found, wanted = (tf.saved_model.load(model).signatures for model in (path, expected))
    answers = [s["serving_default"](image_bytes=images) for s in (found, wanted)]
    np.testing.assert_array_equal(*[answer["class_names"] for answer in answers])
    np.testing.assert_array_equal(*[answer["probabilities"] for answer in answers])


@pytest.mark.parametrize("target", ["kfp-v2", "vertex"])
def test_v2_pushes_the_model_of_the_local_runner(tmp_path, target, local_model, images):
    file = tmp_path / ("file.yaml" if target == "kfp-v2" else "file.json")
    path = _compile(target, file, "--few-shot=1,5")
    job = orchestrators.PipelineJob.read(path, tmp_path / "jobs")
    outputs = job.run(pipeline_root=str(tmp_path / "root"), overrides=FAST)
    (pushed,) = outputs["Pusher"]["pushed_model"]
    assert pushed["metadata"]["pushed"] == 1, pushed
    (model,) = _pushed(tmp_path / "root" / "serving")
    assert pushed["metadata"]["pushed_destination"] == model
    assert_same_model(model, local_model, images)
    (report,) = outputs["FewShotEvaluator"]["report"]
    probes = json.loads(pathlib.Path(report["uri"], "fewshot.json").read_text())
    assert [each["shots"] for each in probes["results"]] == [1, 5]
    (evaluation,) = outputs["Evaluator"]["evaluation"]
    assert mistakes.read(evaluation["uri"])[mistakes.WORST]
    (earlier,) = outputs["LastPushedModel"]["model"]
    assert earlier["metadata"]["found"] == 0


def test_v1_pushes_the_model_of_the_local_runner_and_the_second_run_is_cached(
    tmp_path, local_model, images
):
    path = _compile("kfp-v1", tmp_path / "file.yaml")
    workflow = orchestrators.Workflow.read(path, tmp_path / "runs")
    root = tmp_path / "root"
    workflow.run(pipeline_root=str(root), overrides=FAST)
    (model,) = _pushed(root / "serving")
    assert_same_model(model, local_model, images)

    executions = {step: _executions(root, step) for step in ("ImageExampleGen", "Trainer")}
    workflow.run(pipeline_root=str(root), overrides=FAST)
    assert _pushed(root / "serving") == [model]
    assert executions == {step: _executions(root, step) for step in executions}


@pytest.mark.parametrize("target", ["kfp-v1", "kfp-v2"])
def test_the_training_uses_the_best_hyperparameters_of_the_search(tmp_path, target):
    grid = ["--tune", "--grid=optimizer.learning_rate=1e-7,0.01"]
    path = _compile(target, tmp_path / "file.yaml", *grid)
    root, overrides = tmp_path / "root", "training.epochs=1"
    if target == "kfp-v1":
        workflow = orchestrators.Workflow.read(path, tmp_path / "runs")
        workflow.run(pipeline_root=str(root), overrides=overrides)
        (model,) = root.glob("Trainer/model/*")
    else:
        job = orchestrators.PipelineJob.read(path, tmp_path / "jobs")
        outputs = job.run(pipeline_root=str(root), overrides=overrides)
        (model,) = [artifact["uri"] for artifact in outputs["Trainer"]["model"]]
    recipe = open_export(os.path.join(model, "Format-Serving")).recipe
    expected = recipes.get("digits").override([overrides, "optimizer.learning_rate=0.01"])
    assert recipe == expected
    assert len(list(root.glob("tuning/*/trials/*/result.json"))) == 2


def _executions(root: pathlib.Path, step: str) -> list[str]:
    """The folders that the executions of a step have written."""
    return sorted(str(path.relative_to(root)) for path in (root / step).glob("*/*"))
