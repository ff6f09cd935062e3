# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from mixer_tf.export import warmup
from mixer_tf.serving import contract

REQUEST = warmup.Request("serving_default", {"pixels": np.array([[0.4, 0.1]], np.float32)})
EXPECTED = {"class_names": np.array([["a", "b"]]), "probabilities": np.array([[0.8, 0.2]])}


@pytest.fixture
def extra_assets(tmp_path):
    warmup.write(str(tmp_path), [REQUEST], [EXPECTED])
    return tmp_path / "assets.extra"


def test_tensorflow_serving_can_parse_the_requests(extra_assets):
    path = str(extra_assets / "tf_serving_warmup_requests")
    (record,) = tf.data.TFRecordDataset(path).as_numpy_iterator()
    request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
    assert request.model_spec.signature_name == "serving_default"
    assert request.inputs["pixels"].dtype == tf.float32.as_datatype_enum


def test_expected_outputs_are_plain_json(extra_assets):
    (answer,) = json.loads((extra_assets / "expected_outputs.json").read_text())
    assert answer["signature"] == "serving_default"
    assert answer["outputs"] == {"class_names": [["a", "b"]], "probabilities": [[0.8, 0.2]]}


def test_there_are_requests_for_every_signature_always_the_same():
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
