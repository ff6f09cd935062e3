# SPDX-License-Identifier: Apache-2.0
"""An exported model against the trained one, in this process and in one without mixer_tf."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mixer_tf import factory
from mixer_tf.export import check, saved_model
from mixer_tf.features import ImageRecord
from mixer_tf.images.preprocessing import decode_and_crop
from mixer_tf.recipes import Recipe
from mixer_tf.serving import contract
from mixer_tf.serving.predictor import Predictor
from mixer_tf.training import optimizers

CLASS_NAMES = ["red", "green", "bläulich 青", "d", "e", "f", "g"]


def encode(seed, image_format="JPEG", size=(40, 23)):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, image_format)
    return file.getvalue()


IMAGES = [encode(0), encode(1, "PNG", (16, 16)), encode(2, "GIF"), encode(3, "BMP")]


@pytest.fixture(scope="module", params=["softmax", "sigmoid"])
def model_and_recipe(request, recipe):
    """A model with random weights and the slots of an optimizer."""
    changed = recipe.override([f"training.loss={request.param}", "data.crop=resmall_crop"])
    model = factory.from_recipe(changed, len(CLASS_NAMES))
    random = np.random.default_rng(0)
    model.set_weights([random.normal(0, 0.5, weight.shape) for weight in model.get_weights()])
    model.compile(optimizer=optimizers.create(changed.optimizer, 10))
    model.optimizer.build(model.trainable_variables)
    return model, changed


softmax_alone = pytest.mark.parametrize("model_and_recipe", ["softmax"], indirect=True)


@pytest.fixture(scope="module")
def path(model_and_recipe, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("export") / "model")
    saved_model.export_saved_model(*model_and_recipe, CLASS_NAMES, path)
    return path


@pytest.fixture(scope="module")
def signatures(path):
    model = tf.saved_model.load(path)
    yield model.signatures


@pytest.fixture(scope="module")
def expected(model_and_recipe):
    """Probabilities [N, 7] and pre_logits of IMAGES by Keras and numpy."""
    model, recipe = model_and_recipe
    pixels = np.stack([decode_and_crop(tf.constant(i), "resmall_crop", 16) for i in IMAGES])
    outputs = model.intermediates("pre_logits", "logits").predict(pixels, verbose=0)
    powers = np.exp(outputs["logits"].astype(np.float64))
    probabilities = (
        powers / powers.sum(axis=1, keepdims=True)
        if recipe.training.loss == "softmax"
        else powers / (1 + powers)
    )
    return probabilities, outputs["pre_logits"], pixels


def top_5(probabilities):
    order = np.argsort(-probabilities, axis=1)[:, :5]
    names = [[CLASS_NAMES[i] for i in row] for row in order]
    return names, np.take_along_axis(probabilities, order, axis=1)


def test_serving_default_returns_the_five_most_probable_classes(signatures, expected):
    outputs = signatures["serving_default"](image_bytes=tf.constant(IMAGES))
    names, probabilities = top_5(expected[0])
    assert [[n.decode() for n in row] for row in outputs["class_names"].numpy()] == names
    np.testing.assert_allclose(outputs["probabilities"], probabilities, atol=1e-5)


def test_pixels_answers_the_same(signatures, expected):
    outputs = signatures["pixels"](pixels=tf.constant(expected[2]))
    np.testing.assert_allclose(outputs["probabilities"], top_5(expected[0])[1], atol=1e-5)
    assert outputs["class_names"].dtype == tf.string


def test_features_are_the_pre_logits(signatures, expected):
    outputs = signatures["features"](image_bytes=tf.constant(IMAGES))
    np.testing.assert_allclose(outputs["pre_logits"], expected[1], atol=1e-5)


def test_examples_have_all_probabilities_in_label_order(signatures, expected):
    examples = [ImageRecord(i, "", 1, "x", "y", 1, 1).to_example() for i in IMAGES]
    outputs = signatures["examples"](examples=tf.constant(examples))
    assert set(outputs) == {"probabilities"}
    np.testing.assert_allclose(outputs["probabilities"], expected[0], atol=1e-5)


def test_an_empty_batch_has_an_empty_answer(signatures):
    outputs = signatures["serving_default"](image_bytes=tf.constant([], tf.string))
    assert outputs["probabilities"].shape == (0, 5)


@pytest.mark.parametrize(
    "bad", [b"", b"this is a text and no image", encode(4)[:300], encode(4, "WEBP")]
)
def test_unreadable_bytes_fail_their_request_with_a_short_message(signatures, bad):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        signatures["serving_default"](image_bytes=tf.constant([IMAGES[0], bad]))
    message = str(caught.value)
    assert len(message) < 2000 and "\\x" not in message and "this is a text" not in message
    signatures["serving_default"](image_bytes=tf.constant(IMAGES))


def test_bytes_that_are_not_an_image_are_reported_by_position(signatures):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"GIF or BMP files.* \[1 2\]"):
        signatures["serving_default"](image_bytes=tf.constant([IMAGES[0], b"no", b""]))


def test_the_folder_holds_recipe_class_names_and_warm_up(path, model_and_recipe):
    extra = os.path.join(path, "assets.extra")
    assert sorted(os.listdir(extra)) == [
        "class_names.json",
        "expected_outputs.json",
        "recipe.json",
        "tf_serving_warmup_requests",
    ]
    with open(os.path.join(extra, contract.RECIPE_FILE)) as file:
        assert Recipe.from_json(file.read()) == model_and_recipe[1]
    with open(os.path.join(extra, contract.CLASS_NAMES_FILE)) as file:
        assert json.load(file) == CLASS_NAMES


def test_the_optimizer_is_not_exported(path, model_and_recipe):
    variables = tf.train.list_variables(os.path.join(path, "variables", "variables"))
    size = sum(int(np.prod(shape)) for name, shape in variables if "CHECKPOINTABLE" not in name)
    assert size == model_and_recipe[0].count_params()


_FRESH = """
import sys
sys.modules["mixer_tf"] = sys.modules["tensorflow_addons"] = None  # any import of them fails
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
image = tf.io.read_file(sys.argv[2])
answer = model.signatures["serving_default"](image_bytes=tf.stack([image]))
print(answer["class_names"].numpy()[0, 0].decode(), answer["probabilities"].numpy()[0, 0])
"""


@softmax_alone
def test_plain_tensorflow_serves_it(path, expected, tmp_path):
    image = tmp_path / "image.jpg"
    image.write_bytes(IMAGES[0])
    answer = subprocess.run(
        [sys.executable, "-I", "-c", _FRESH, path, str(image)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "TF_CPP_MIN_LOG_LEVEL": "0"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert "meta_optimizer" not in answer.stderr  # where TensorFlow logs errors about a graph
    name, probability = answer.stdout.rsplit(maxsplit=1)
    names, probabilities = top_5(expected[0])
    assert name == names[0][0]
    assert float(probability) == pytest.approx(probabilities[0, 0], abs=1e-5)


_OPERATIONS = """
import sys
import numpy as np
import tensorflow.compat.v1 as tf
with tf.Session(graph=tf.Graph()) as session:
    meta = tf.saved_model.load(session, ["serve"], sys.argv[1])
    signature = meta.signature_def["pixels"]
    trace, options = tf.RunMetadata(), tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    session.run(
        [output.name for output in signature.outputs.values()],
        {signature.inputs["pixels"].name: np.zeros((4, 16, 16, 3), np.uint8)},
        options=options, run_metadata=trace,
    )
for device in trace.step_stats.dev_stats:
    for node in device.node_stats:
        print(node.timeline_label)
"""


@softmax_alone
def test_a_session_joins_products_and_gelu(path, recipe):
    """As TF Serving runs it; once, in a graph without functions, GELU was rewritten before."""
    done = subprocess.run(
        [sys.executable, "-c", _OPERATIONS, path],
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    lines = [line.split(" = ") for line in done.stdout.splitlines() if " = " in line]
    operations = [(name, operation.split("(")[0]) for name, operation in lines]
    of_gelu = [operation for name, operation in operations if "/Gelu/" in name]
    assert of_gelu == ["_MklNativeFusedMatMul"] * (2 * recipe.model.fields["num_blocks"])
    assert not {"Tanh", "Pow"} & {operation for _, operation in operations}


@softmax_alone
def test_an_interrupted_export_leaves_the_old_model(model_and_recipe, tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").write_text("model")

    def fail(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(saved_model.check, "check_answers", fail)
    with pytest.raises(KeyboardInterrupt):
        saved_model.export_saved_model(*model_and_recipe, CLASS_NAMES, str(path))
    assert os.listdir(path) == ["old"] and os.listdir(tmp_path) == ["model"]
    assert not tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer")


@softmax_alone
def test_an_export_with_other_answers_is_removed(model_and_recipe, tmp_path, monkeypatch):
    right = saved_model.expected_outputs

    def wrong(*arguments):
        answers = right(*arguments)
        answers[0]["probabilities"][0, 0] += 0.01
        return answers

    monkeypatch.setattr(saved_model, "expected_outputs", wrong)
    with pytest.raises(check.FailedCheck, match="probabilities differs from the trained model's"):
        saved_model.export_saved_model(*model_and_recipe, CLASS_NAMES, str(tmp_path / "model"))
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
@softmax_alone
def test_the_number_of_top_classes_is_read_when_it_is_used(model_and_recipe, tmp_path, monkeypatch):
    """Signatures, expected outputs, their check and the Predictor follow the contract."""
    monkeypatch.setattr(contract, "TOP_K", 3)
    path = str(tmp_path / "model")
    saved_model.export_saved_model(*model_and_recipe, CLASS_NAMES, path)
    assert check.check(path)["largest_difference"] < 1e-5
    answer = tf.saved_model.load(path).signatures["serving_default"](tf.constant(IMAGES[:1]))
    assert answer["class_names"].shape == answer["probabilities"].shape == (1, 3)
    (predictions,) = Predictor(path).classify(IMAGES[:1])
    assert [p.class_name.encode() for p in predictions] == list(answer["class_names"].numpy()[0])


def test_mixed_precision_is_served_in_float32(recipe, tmp_path):
    mixed = recipe.override(["training.precision=mixed_bfloat16"])
    model = factory.from_recipe(mixed, 3)
    random = np.random.default_rng(0)
    model.set_weights([random.normal(0, 0.5, weight.shape) for weight in model.get_weights()])
    path = str(tmp_path / "model")
    saved_model.export_saved_model(model, mixed, ["a", "b", "c"], path)

    full = factory.for_export(mixed, 3)
    full.set_weights(model.get_weights())
    pixels = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    probabilities = tf.nn.softmax(full(pixels)).numpy()
    answer = tf.saved_model.load(path).signatures["pixels"](pixels=tf.constant(pixels))
    np.testing.assert_allclose(answer["probabilities"], -np.sort(-probabilities, axis=1), atol=1e-5)
