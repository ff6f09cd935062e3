# SPDX-License-Identifier: Apache-2.0
"""BulkPredictor: the answers of a real export for a real folder, good and bad images."""

import json
import os
import pathlib
import shutil

import pytest
from tfx.types import standard_artifacts

from components.bulk_predictor.executor import NOTES, REASON, Executor
from mixer_tf import factory
from mixer_tf.datasets import unlabeled
from mixer_tf.datasets.files import read_image
from mixer_tf.export import saved_model
from mixer_tf.serving.predictor import Predictor


@pytest.fixture(scope="module")
def model(recipe, tmp_path_factory):
    artifact = standard_artifacts.Model()
    artifact.uri = str(tmp_path_factory.mktemp("model"))
    names = ("cat", "dog", "été 夏")
    path = os.path.join(artifact.uri, "Format-Serving")
    saved_model.export_saved_model(factory.from_recipe(recipe, 3), recipe, names, path)
    return artifact


def predict(model, folder: pathlib.Path, source: str, **blessings):
    result = standard_artifacts.InferenceResult()
    result.uri = str(folder)
    inputs = {"model": [model]}
    for name, blessed in blessings.items():
        blessing = standard_artifacts.ModelBlessing()
        blessing.set_int_custom_property("blessed", blessed)
        inputs[name] = [blessing]
    Executor().Do(inputs, {"inference_result": [result]}, {"source": source})
    lines = [
        json.loads(line)
        for path in sorted(folder.glob("predictions-*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]
    return result, {line["image"]: line for line in lines}


@pytest.mark.parametrize("kind", ["images", "folder"])
def test_every_image_has_its_line_and_the_answers_are_the_models(model, bad_folder, tmp_path, kind):
    result, lines = predict(model, tmp_path, f"{kind}:{bad_folder.path}", model_blessing=1)
    good = [str(bad_folder.path / name) for name in bad_folder.good]
    assert {path for path, line in lines.items() if "predictions" in line} == set(good)
    bad = {path: line["error"] for path, line in lines.items() if "error" in line}
    assert {str(bad_folder.path / name): word for name, word in bad_folder.bad.items()}.keys() == (
        bad.keys()
    )
    for name, word in bad_folder.bad.items():
        assert word in bad[str(bad_folder.path / name)]
    assert result.get_int_custom_property("images") == len(good)
    assert result.get_int_custom_property("unusable") == len(bad)

    plain = [path for path in good if path.endswith("000.png")]
    predictor = Predictor(os.path.join(model.uri, "Format-Serving"))
    expected = predictor.classify([read_image(path, None, "").encoded for path in plain])
    for path, answer in zip(plain, expected, strict=True):
        found = lines[path]["predictions"]
        assert [each["class_name"] for each in found] == [each.class_name for each in answer]
        assert [each["probability"] for each in found] == pytest.approx(
            [each.probability for each in answer], abs=1e-6
        )


@pytest.mark.parametrize("blessings", [{"model_blessing": 0}, {"infra_blessing": 0}])
def test_a_model_that_is_not_blessed_predicts_nothing(model, tmp_path, blessings):
    result, lines = predict(model, tmp_path, "images:/nowhere", **blessings)
    assert not lines and os.listdir(tmp_path) == []
    assert result.get_string_custom_property(REASON) == "the model is not blessed"


def test_images_to_predict_need_a_folder_with_images(tmp_path):
    with pytest.raises(ValueError, match="images: must be followed by an existing folder"):
        unlabeled.open_images(f"images:{tmp_path / 'none'}")
    with pytest.raises(ValueError, match="must have at least one image"):
        unlabeled.open_images(f"images:{tmp_path}")
    with pytest.raises(ValueError, match="without user name, password"):
        unlabeled.open_images("images:s3://user:secret@bucket/a")


def test_a_new_image_changes_the_fingerprint(tmp_path, make_pixels, encode):
    (tmp_path / "a.png").write_bytes(encode(make_pixels(1), "PNG"))
    before = unlabeled.open_images(f"images:{tmp_path}")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.jpg").write_bytes(encode(make_pixels(2), "JPEG"))
    after = unlabeled.open_images(f"images:{tmp_path}")
    assert before.fingerprint() != after.fingerprint()
    assert before.class_names == after.class_names == ()


def test_what_is_not_read_is_noted(model, bad_folder, tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    shutil.copy(bad_folder.path / bad_folder.good[0], folder)
    (folder / "list.txt").write_text("no image")
    result, lines = predict(model, tmp_path / "result", f"images:{folder}", model_blessing=1)
    assert len(lines) == 1 and ".txt" in result.get_string_custom_property(NOTES)
