# SPDX-License-Identifier: Apache-2.0
"""The real executor of Trainer: stopped at any moment, the same step resumes in a new run."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

from mixer_tf.export.loading import open_export

# On two busy cores, several processes take turns.
pytestmark = pytest.mark.timeout(1800)


_PROGRAM = """
import json, os, signal, sys
import tensorflow as tf
from tfx.proto import trainer_pb2
from tfx.proto.orchestration import execution_result_pb2
from tfx.types import standard_artifacts
from components.trainer.component import Trainer
from components.trainer.executor import Executor
from tfx.types import channel_utils
from mixer_tf.training import checkpointing

examples_folder, work, run, config, stop_at, kill_at_end = sys.argv[1:]

class Stop(checkpointing.TrainingCheckpoint):
    def on_train_batch_end(self, batch, logs=None):
        print("step", self.model.optimizer.iterations.numpy())
        if self.model.optimizer.iterations.numpy() == int(stop_at):
            os.kill(os.getpid(), signal.SIGTERM)
        super().on_train_batch_end(batch, logs)

from mixer_tf.training import training_setup
training_setup.TrainingCheckpoint = Stop
examples = standard_artifacts.Examples()
examples.uri, examples.split_names = examples_folder, '["train", "eval"]'
model, model_run = standard_artifacts.Model(), standard_artifacts.ModelRun()
model.uri, model_run.uri = (os.path.join(work, run, name) for name in ("model", "logs"))
component = Trainer(
    examples=channel_utils.as_channel([examples]),
    train_args=trainer_pb2.TrainArgs(splits=["train"]),
    eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
    custom_config=json.loads(config),
    root=work,
)
properties = dict(component.exec_properties)
for name in ("train_args", "eval_args"):
    properties[name] = json.dumps({"splits": [name.partition("_")[0]]})
Executor().Do(
    {"examples": [examples]}, {"model": [model], "model_run": [model_run]}, properties
)
if kill_at_end == "True":  # before TFX would publish the model
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run_step(dataset, work, run, recipe, stop_at=-1, kill_at_end=False):
    config = {"recipe": recipe.to_json(), "strategy": "default", "fingerprint": ""}
    config |= {"checkpoint_dir": "checkpoints", "checkpoints": {"minutes": 60, "steps": 3}}
    arguments = [dataset.folder, str(work), run, json.dumps(config)]
    arguments += [str(stop_at), str(kill_at_end)]
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def weights(work, run):
    return open_export(str(pathlib.Path(work, run, "model", "Format-Serving"))).model.get_weights()


@pytest.mark.slow
def test_after_sigterm_the_step_resumes_and_ends_with_the_same_model(dataset, recipe, tmp_path):
    """Each execution has output folders of its own; the folder of checkpoints stays."""
    whole = run_step(dataset, tmp_path / "a", "1", recipe)
    assert whole.returncode == 0, whole.stderr[-3000:]
    stopped = run_step(dataset, tmp_path / "b", "1", recipe, stop_at=5)
    assert stopped.returncode == 143, stopped.stderr[-3000:]
    assert "Stopped by SIGTERM after step 5 of 8, which is saved; " in stopped.stderr
    assert "Traceback" not in stopped.stderr
    resumed = run_step(dataset, tmp_path / "b", "2", recipe)
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    for weight, expected in zip(
        weights(tmp_path / "b", "2"), weights(tmp_path / "a", "1"), strict=True
    ):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.slow
def test_killed_before_its_model_is_published_the_step_does_not_train_again(
    dataset, recipe, tmp_path
):
    """TFX publishes after the step. The next training removes what has stayed for that moment."""
    killed = run_step(dataset, tmp_path, "1", recipe, kill_at_end=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-3000:]
    assert "step 1\n" in killed.stdout
    again = run_step(dataset, tmp_path, "2", recipe)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "step 6\n" not in again.stdout  # that of the last checkpoint
    for weight, expected in zip(weights(tmp_path, "2"), weights(tmp_path, "1"), strict=True):
        np.testing.assert_array_equal(weight, expected)
    (finished,) = (tmp_path / "checkpoints").iterdir()
    other = run_step(dataset, tmp_path, "3", recipe.override(["training.seed=1"]))
    assert other.returncode == 0, other.stderr[-3000:]
    assert not finished.exists() and len(os.listdir(tmp_path / "checkpoints")) == 1
