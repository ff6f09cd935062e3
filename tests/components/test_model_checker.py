# SPDX-License-Identifier: Apache-2.0
"""ModelChecker on a real export, intact and damaged in each way that must fail the check."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from components.model_checker.executor import Executor
from mixer_tf import factory, recipes
from mixer_tf.export import check, check_process, saved_model

TINY = (
    "model.name=mixer",
    "model.image_size=16",
    "model.patch_size=4",
    "model.num_blocks=2",
    "model.hidden_dim=16",
    "model.tokens_mlp_dim=8",
    "model.channels_mlp_dim=32",
)
CLASS_NAMES = ["cat", "dog", "été 夏"]
EXPECTED = "assets.extra/expected_outputs.json"


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> pathlib.Path:
    """A small exported model whose head is not zero."""
    recipe = recipes.get("digits").override(TINY)
    model = factory.from_recipe(recipe, len(CLASS_NAMES))
    random = np.random.default_rng(0)
    model.set_weights([random.normal(0, 0.3, weight.shape) for weight in model.get_weights()])
    path = tmp_path_factory.mktemp("export") / "model"
    saved_model.export_saved_model(model, recipe, CLASS_NAMES, str(path))
    return path


@pytest.fixture
def copy(exported, tmp_path) -> pathlib.Path:
    """A copy of the model that a test may damage."""
    return pathlib.Path(shutil.copytree(exported, tmp_path / "Format-Serving"))


def run_component(model_dir: pathlib.Path, blessing_dir: pathlib.Path):
    model, blessing = standard_artifacts.Model(), standard_artifacts.InfraBlessing()
    model.uri, blessing.uri = str(model_dir.parent), str(blessing_dir)
    blessing_dir.mkdir()
    Executor().Do({"model": [model]}, {"blessing": [blessing]}, {})
    return blessing


def test_an_intact_model_is_blessed(copy, tmp_path):
    blessing = run_component(copy, tmp_path / "blessing")
    assert blessing.get_string_custom_property("reason") == ""
    assert blessing.get_int_custom_property("blessed") == 1
    assert (tmp_path / "blessing" / "INFRA_BLESSED").exists()
    report = json.loads((tmp_path / "blessing" / "check.json").read_text())
    assert report["requests"] >= 4
    assert report["largest_difference"] < 1e-5


def test_a_model_that_fails_is_not_blessed_and_says_why(copy, tmp_path, monkeypatch):
    monkeypatch.setattr(check_process.check, "__defaults__", (0.1,))
    blessing = run_component(copy, tmp_path / "blessing")
    assert blessing.get_int_custom_property("blessed") == 0
    assert (tmp_path / "blessing" / "INFRA_NOT_BLESSED").exists()
    assert blessing.get_string_custom_property("reason") == "the model gave no answer within 0 s"


def test_damaged_weights_fail_the_check(copy):
    weights = copy / "variables" / "variables.data-00000-of-00001"
    values = np.frombuffer(weights.read_bytes(), np.uint8).copy()
    values[: len(values) // 2] = 0
    weights.write_bytes(values.tobytes())
    with pytest.raises(check.FailedCheck, match="does not load|differs"):
        check.check(str(copy))


def test_the_process_that_checks_has_nothing_of_this_project():
    script = pathlib.Path(check_process.__file__).with_name("check.py")
    code = (
        f"import runpy, sys; runpy.run_path({str(script)!r}); "
        "print([m for m in sys.modules if m.partition('.')[0] in "
        "('mixer_tf', 'components', 'pipeline', 'tensorflow_addons', 'tfx')])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_an_answer_other_than_the_trained_models_fails_the_check(copy):
    answers = json.loads((copy / EXPECTED).read_text())
    outputs = next(a["outputs"] for a in answers if a["signature"] == "serving_default")
    outputs["probabilities"][0][0] += 0.01
    (copy / EXPECTED).write_text(json.dumps(answers))
    with pytest.raises(check.FailedCheck, match="probabilities differs from the trained model's"):
        check.check(str(copy))


class Tolerant(tf.Module):
    """A model that accepts anything as an image."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def answer(self, image_bytes):
        return {"pre_logits": tf.zeros([tf.shape(image_bytes)[0], 2])}


def test_a_model_that_accepts_text_as_an_image_is_not_blessed(copy):
    shutil.rmtree(copy / "variables")
    (copy / "saved_model.pb").unlink()
    module = Tolerant()
    names = ("serving_default", "pixels", "features", "examples")
    tf.saved_model.save(module, str(copy), signatures={name: module.answer for name in names})
    answers = [
        {"signature": "serving_default", "outputs": {"pre_logits": [[0.0, 0.0]] * rows}}
        for rows in (1, 2)
    ]
    keep_requests(copy, len(answers))
    (copy / EXPECTED).write_text(json.dumps(answers))
    with pytest.raises(check.FailedCheck, match="serving_default accepts no bytes as an image"):
        check.check(str(copy))


def keep_requests(model_dir: pathlib.Path, count: int) -> None:
    path = str(model_dir / "assets.extra" / "tf_serving_warmup_requests")
    records = list(tf.data.TFRecordDataset(path).as_numpy_iterator())[:count]
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record)


def test_a_process_that_dies_is_a_failed_check(monkeypatch, tmp_path):
    script = tmp_path / "dies.py"
    monkeypatch.setattr(check_process, "_SCRIPT", script)
    script.write_text("import os; os.abort()")
    assert check_process.check("model")["reason"].endswith("was ended by SIGABRT")
    script.write_text("raise OSError('no disk')")
    assert check_process.check("model")["reason"].endswith("failed: OSError: no disk")
