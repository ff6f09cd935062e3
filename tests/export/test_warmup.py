# SPDX-License-Identifier: Apache-2.0
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from mixer_tf.export import warmup
from mixer_tf.serving import contract


class Doubling(tf.Module):
    """A model whose answer is twice its question, and the names of both classes."""

    def __init__(self, factor=2.0, names=("a", "b")):
        super().__init__()
        self.factor = tf.Variable(factor)
        self.names = tf.Variable(names)

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
    def serve(self, pixels):
        names = tf.broadcast_to(self.names, tf.shape(pixels))
        return {"class_names": names, "probabilities": pixels * self.factor}


REQUEST = warmup.Request("serving_default", {"pixels": np.array([[0.4, 0.1]], np.float32)})
EXPECTED = {"class_names": np.array([["a", "b"]]), "probabilities": np.array([[0.8, 0.2]])}


@pytest.fixture
def model_dir(tmp_path):
    return save(Doubling(), tmp_path)


def save(model, tmp_path, requests=(REQUEST,), expected=(EXPECTED,)):
    path = str(tmp_path / "model")
    tf.saved_model.save(model, path, signatures={"serving_default": model.serve})
    warmup.write(path, requests, expected)
    return path


def test_the_right_answers_pass(model_dir):
    assert warmup.replay(model_dir) < 1e-6


def test_requests_are_read_as_they_were_written(model_dir):
    (request,), (expected,) = warmup.read(model_dir)
    assert request.signature == "serving_default"
    np.testing.assert_array_equal(request.inputs["pixels"], REQUEST.inputs["pixels"])
    assert expected == {"class_names": [["a", "b"]], "probabilities": [[0.8, 0.2]]}


def test_tensorflow_serving_can_parse_the_requests(model_dir):
    path = os.path.join(model_dir, "assets.extra", "tf_serving_warmup_requests")
    (record,) = tf.data.TFRecordDataset(path).as_numpy_iterator()
    request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
    assert request.model_spec.signature_name == "serving_default"
    assert request.inputs["pixels"].dtype == tf.float32.as_datatype_enum


def test_other_numbers_are_named(tmp_path):
    with pytest.raises(warmup.WarmupError, match=r"request 0 .*probabilities must equal.* by 0.4"):
        warmup.replay(save(Doubling(factor=3.0), tmp_path))


def test_nan_is_no_answer(tmp_path):
    with pytest.raises(warmup.WarmupError, match="probabilities must equal"):
        warmup.replay(save(Doubling(factor=float("nan")), tmp_path))


def test_other_names_are_named(tmp_path):
    with pytest.raises(warmup.WarmupError, match="must name 'a'; got 'b'"):
        warmup.replay(save(Doubling(names=("b", "a")), tmp_path))


def test_names_may_change_places_where_probabilities_are_equal(tmp_path):
    request = warmup.Request("serving_default", {"pixels": np.array([[0.2, 0.2]], np.float32)})
    expected = {"class_names": [["a", "b"]], "probabilities": [[0.4, 0.4]]}
    path = save(Doubling(names=("b", "a")), tmp_path, [request], [expected])
    assert warmup.replay(path) < 1e-6


def test_another_shape_is_named(tmp_path):
    expected = {**EXPECTED, "probabilities": np.array([[0.8, 0.2, 0.0]])}
    with pytest.raises(warmup.WarmupError, match=r"have the shape \(1, 3\); got \(1, 2\)"):
        warmup.replay(save(Doubling(), tmp_path, expected=[expected]))


def test_a_missing_output_is_named(tmp_path):
    expected = {**EXPECTED, "more": np.array([1.0])}
    with pytest.raises(warmup.WarmupError, match="must return .*'more'"):
        warmup.replay(save(Doubling(), tmp_path, expected=[expected]))


def test_a_missing_signature_is_named(tmp_path):
    request = warmup.Request("features", REQUEST.inputs)
    with pytest.raises(warmup.WarmupError, match=r"request 0 \(features\) must be answered"):
        warmup.replay(save(Doubling(), tmp_path, [request]))


def test_a_damaged_model_is_named(model_dir):
    with open(os.path.join(model_dir, "saved_model.pb"), "wb") as file:
        file.write(b"damaged")
    with pytest.raises(warmup.WarmupError, match="must load as a SavedModel"):
        warmup.replay(model_dir)


def test_a_model_without_requests_is_named(model_dir):
    os.remove(os.path.join(model_dir, "assets.extra", "expected_outputs.json"))
    with pytest.raises(warmup.WarmupError, match="must hold .*expected_outputs.json"):
        warmup.replay(model_dir)


def test_requests_ask_every_signature_and_are_always_the_same():
    requests, again = warmup.make_requests(16), warmup.make_requests(16)
    assert {request.signature for request in requests} == {
        contract.SERVING_SIGNATURE,
        contract.PIXELS_SIGNATURE,
        contract.FEATURES_SIGNATURE,
        contract.EXAMPLES_SIGNATURE,
    }
    for request, other in zip(requests, again, strict=True):
        for name, value in request.inputs.items():
            np.testing.assert_array_equal(value, other.inputs[name])


def test_expected_outputs_are_plain_json(model_dir):
    with open(os.path.join(model_dir, "assets.extra", "expected_outputs.json")) as file:
        assert json.load(file)[0]["signature"] == "serving_default"
