# SPDX-License-Identifier: Apache-2.0
"""Files for other runtimes answer as the trained network does."""

import json
import pathlib
import subprocess
import sys
import zipfile

import harness
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf import factory, recipes
from mixer_tf.export import portable
from mixer_tf.export.loading import Export

CLASS_NAMES = ("red", "green", "bläulich 青")
FAMILIES = {
    "mixer": (
        *("model.name=mixer", "model.image_size=16", "model.patch_size=4", "model.num_blocks=2"),
        *("model.hidden_dim=8", "model.tokens_mlp_dim=6", "model.channels_mlp_dim=10"),
    ),
    "vit": (
        *("model.name=vit", "model.image_size=16", "model.patch_size=4", "model.num_blocks=2"),
        *("model.hidden_dim=8", "model.channels_mlp_dim=10", "model.num_heads=2"),
    ),
}


def make_export(family: str = "mixer", *overrides: str) -> Export:
    recipe = recipes.get("photos").override([*FAMILIES[family], *overrides])
    model = harness.randomize(factory.for_export(recipe, len(CLASS_NAMES)))
    return Export(model, recipe, CLASS_NAMES)


def images() -> np.ndarray:
    return harness.make_images(16, 16, count=5)


def expected(export: Export) -> np.ndarray:
    logits = export.model(images(), training=False).numpy()
    if export.recipe.training.loss == "sigmoid":
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def tflite_file(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("tflite") / "model.tflite")
    portable.convert(make_export(), path)
    return path


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_a_file_answers_as_the_network_does(family, suffix, tflite_file, tmp_path):
    export, path = make_export(family), str(tmp_path / f"model{suffix}")
    if (family, suffix) == ("mixer", ".tflite"):
        path = tflite_file
    else:
        portable.convert(export, path)
    found = portable.measure_file(path, images())
    np.testing.assert_allclose(found.probabilities, expected(export), atol=1e-5)
    original = portable.measure_original(export, images())
    np.testing.assert_allclose(original.probabilities, expected(export), atol=1e-6)
    assert found.agreement(original) == 1 and found.largest_difference(original) < 1e-5
    assert found.top_1(expected(export).argmax(axis=1)) == 1


def test_an_onnx_file_takes_any_batch_and_has_the_names_of_the_classes(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    export, path = make_export("mixer", "training.loss=sigmoid"), str(tmp_path / "model.onnx")
    portable.convert(export, path)
    session = onnxruntime.InferenceSession(path)
    (found,) = session.run(["probabilities"], {"pixels": images()})
    np.testing.assert_allclose(found, expected(export), atol=1e-5)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["class_names"]) == list(CLASS_NAMES)


@pytest.mark.slow
def test_smaller_precisions_of_tflite(tmp_path):
    export = make_export()
    answers, sizes = {}, {}
    for precision in ("float32", "float16", "int8"):
        path = str(tmp_path / f"{precision}.tflite")
        portable.convert(export, path, precision, images())
        answers[precision] = portable.measure_file(path, images())
        with zipfile.ZipFile(path) as archive:
            assert archive.read("labels.txt").decode().split("\n") == list(CLASS_NAMES)
        types = {tensor["dtype"] for tensor in tensors(path)}
        sizes[precision] = (np.float16 in types, np.int8 in types)
    assert sizes == {"float32": (False, False), "float16": (True, False), "int8": (False, True)}
    assert answers["float16"].largest_difference(answers["float32"]) < 0.01
    assert answers["int8"].largest_difference(answers["float32"]) < 0.1
    assert answers["float16"].largest_difference(answers["float32"]) > 0


def tensors(path: str) -> list[dict]:
    return tf.lite.Interpreter(path).get_tensor_details()


def test_keras_files_open_without_mixer_tf(tmp_path):
    kinds = {
        "plain": (),
        "sigmoid": ("training.loss=sigmoid", "model.exact_gelu=true"),
        "groups": ("model.channel_groups=2",),
    }
    exports = {name: make_export("mixer", *overrides) for name, overrides in kinds.items()}
    for name, export in exports.items():
        portable.convert(export, str(tmp_path / f"{name}.keras"))
    np.save(tmp_path / "images.npy", images())
    code = (
        "import sys, numpy as np; from tensorflow import keras\n"
        f"for name in {[*kinds]}:\n"
        "    model = keras.models.load_model(name + '.keras')\n"
        "    np.save(name + '.npy', model(np.load('images.npy')))\n"
        "assert not [name for name in sys.modules if name.startswith('mixer_tf')]\n"
    )
    command = [sys.executable, "-I", "-c", code]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    for name, export in exports.items():
        found = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(found, expected(export), atol=1e-6, err_msg=name)


def test_a_keras_file_of_another_network_is_refused(tmp_path):
    for export in (make_export("vit"), make_export("mixer", "model.untied=true")):
        with pytest.raises(ValueError, match="only ablation is channel_groups; this model"):
            portable.convert(export, str(tmp_path / "model.keras"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "target, precision, message",
    [
        ("model.pb", "float32", "TARGET must end in .tflite, .onnx, .keras; got 'model.pb'"),
        ("model.onnx", "int8", "the precision of .onnx must be float32; got int8"),
        ("model.tflite", "int4", "must be float32 or float16 or int8; got int4"),
    ],
)
def test_what_is_not_possible_is_refused_before_anything_is_loaded(target, precision, message):
    with pytest.raises(ValueError, match=message):
        portable.check_target(target, precision)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ImportError, match=r"needs the package tf2onnx: pip install onnx "):
        portable.check_target("model.onnx", "float32")


def test_equal_models_are_equal_files(tflite_file, tmp_path):
    again = tmp_path / "again.tflite"
    portable.convert(make_export(), str(again))
    assert again.read_bytes() == pathlib.Path(tflite_file).read_bytes()
