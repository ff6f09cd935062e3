# SPDX-License-Identifier: Apache-2.0
"""New images in the same folder: the training continues from the last blessed model."""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from mixer_tf import recipes
from mixer_tf.export.loading import open_export
from pipeline.configs import PipelineConfig
from pipeline.definition import create_pipeline

ROOT = pathlib.Path(__file__).parents[2]
STILL = ["--set", "optimizer.learning_rate=1e-12", "--set", "optimizer.weight_decay=0"]


def run(folder: pathlib.Path, root: pathlib.Path, *arguments: str) -> dict:
    given = [f"--source=folder:{folder}", f"--root={root}", "--recipe=digits", "--min-accuracy=0"]
    given += ["--deduplicate=off", "--set", "training.epochs=1", "--warm-start", *arguments]
    subprocess.run([sys.executable, "-m", "pipeline.local_runner", *given], cwd=ROOT, check=True)
    return json.loads((root / "summary.json").read_text())


def test_the_trainer_gets_a_base_model_only_when_it_is_asked_for():
    config = PipelineConfig(name="n", root="/r", source="digits", recipe=recipes.get("digits"))
    for warm_start in (False, True):
        pipeline = create_pipeline(dataclasses.replace(config, warm_start=warm_start))
        nodes = {node.id: node for node in pipeline.components}
        assert ("BaseModelResolver" in nodes) is warm_start
        assert ("base_model" in nodes["Trainer"].inputs) is warm_start


@pytest.mark.slow
@pytest.mark.e2e
def test_a_second_run_with_more_images_starts_from_the_weights_of_the_first(
    tmp_path, write_image_folder
):
    images, root = tmp_path / "images", tmp_path / "root"
    write_image_folder(images, per_class=30)
    first = run(images, root)
    assert first["pushed_model"]
    assert any("there is no blessed model of these classes yet" in note for note in first["notes"])

    write_image_folder(tmp_path / "more", per_class=40)
    for path in (tmp_path / "more").glob("*/*"):
        shutil.copy(path, images / path.parent.name / f"more {path.name}")
    second = run(images, root, *STILL, "--max-accuracy-drop=1")
    assert sum(second["examples"].values()) > sum(first["examples"].values())
    assert any("started from the last blessed model" in note for note in second["notes"])
    weights = [open_export(each["saved_model"]).model.get_weights() for each in (first, second)]
    for before, after in zip(*weights, strict=True):
        np.testing.assert_allclose(after, before, atol=1e-6)
