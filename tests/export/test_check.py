# SPDX-License-Identifier: Apache-2.0
"""The comparison of answers with stored ones, on a model of one operation.

tests/components/test_model_checker.py checks a real export.
"""

import os

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.export import check, warmup
from mixer_tf.serving import contract


class Doubling(tf.Module):
    """A model that answers twice its input, and the names of both classes."""

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


def save(model, tmp_path, requests=(REQUEST,), expected=(EXPECTED,), names=check.SIGNATURES):
    path = str(tmp_path / "model")
    tf.saved_model.save(model, path, signatures=dict.fromkeys(names, model.serve))
    warmup.write(path, requests, expected)
    return path


@pytest.fixture
def model_dir(tmp_path):
    return save(Doubling(), tmp_path)


def test_the_names_are_those_of_the_contract():
    """The script runs without the project, so it cannot import them."""
    assert check.SIGNATURES == (
        contract.SERVING_SIGNATURE,
        contract.PIXELS_SIGNATURE,
        contract.FEATURES_SIGNATURE,
        contract.EXAMPLES_SIGNATURE,
    )
    assert check.SERVING_SIGNATURE == contract.SERVING_SIGNATURE
    assert check.IMAGE_BYTES == contract.IMAGE_BYTES
    assert check.CLASS_NAMES == contract.CLASS_NAMES
    assert check.PROBABILITIES == contract.PROBABILITIES
    assert f"{contract.EXTRA_ASSETS}/{contract.WARMUP_FILE}" == check.REQUESTS
    assert f"{contract.EXTRA_ASSETS}/{contract.EXPECTED_FILE}" == check.EXPECTED


def test_correct_answers_pass(model_dir):
    assert check.check_answers(model_dir) < 1e-6


def test_requests_are_read_as_they_were_written(model_dir):
    ((signature, inputs, expected),) = check.read_requests(model_dir)
    assert signature == "serving_default"
    np.testing.assert_array_equal(inputs["pixels"], REQUEST.inputs["pixels"])
    assert expected == {"class_names": [["a", "b"]], "probabilities": [[0.8, 0.2]]}


@pytest.mark.parametrize(("factor", "passes"), [(2.001, True), (2.0049, False)])
def test_the_tolerance_is_absolute_and_relative(tmp_path, factor, passes):
    """0.8 may differ by 0.0018: here by 0.0004, or by 0.00196."""
    path = save(Doubling(factor), tmp_path)
    if passes:
        assert check.check_answers(path) == pytest.approx(0.0004, rel=1e-3)
        return
    with pytest.raises(check.FailedCheck, match="probabilities differs"):
        check.check_answers(path)


def test_other_numbers_are_reported(tmp_path):
    with pytest.raises(check.FailedCheck, match=r"default: probabilities differs .* up to 0\.4"):
        check.check_answers(save(Doubling(factor=3.0), tmp_path))


def test_nan_is_not_an_answer(tmp_path):
    with pytest.raises(check.FailedCheck, match="probabilities differs"):
        check.check_answers(save(Doubling(factor=float("nan")), tmp_path))


def test_other_names_are_reported(tmp_path):
    with pytest.raises(check.FailedCheck, match="class 1 is 'b', expected 'a'"):
        check.check_answers(save(Doubling(names=("b", "a")), tmp_path))


def test_names_may_swap_where_probabilities_are_equal(tmp_path):
    request = warmup.Request("serving_default", {"pixels": np.array([[0.2, 0.2]], np.float32)})
    expected = {"class_names": [["a", "b"]], "probabilities": [[0.4, 0.4]]}
    path = save(Doubling(names=("b", "a")), tmp_path, [request], [expected])
    assert check.check_answers(path) < 1e-6


def test_another_shape_is_reported(tmp_path):
    expected = {**EXPECTED, "probabilities": np.array([[0.8, 0.2, 0.0]])}
    with pytest.raises(check.FailedCheck, match=r"the shape \(1, 2\), expected \(1, 3\)"):
        check.check_answers(save(Doubling(), tmp_path, expected=[expected]))


def test_a_missing_output_is_reported(tmp_path):
    expected = {**EXPECTED, "more": np.array([1.0])}
    with pytest.raises(check.FailedCheck, match="expected .*'more'"):
        check.check_answers(save(Doubling(), tmp_path, expected=[expected]))


def test_a_missing_signature_is_reported(tmp_path):
    with pytest.raises(check.FailedCheck, match="the model has no signature pixels, features"):
        check.check_answers(save(Doubling(), tmp_path, names=("serving_default", "examples")))


def test_a_request_without_an_answer_is_reported(tmp_path):
    request = warmup.Request("features", {"image_bytes": np.array([b"x"])})
    with pytest.raises(check.FailedCheck, match="features does not answer: "):
        check.check_answers(save(Doubling(), tmp_path, [request]))


def test_a_corrupt_model_is_reported(model_dir):
    with open(os.path.join(model_dir, "saved_model.pb"), "wb") as file:
        file.write(b"corrupt")
    with pytest.raises(check.FailedCheck, match="the model does not load"):
        check.check_answers(model_dir)


@pytest.mark.parametrize("name", [check.EXPECTED, check.REQUESTS])
def test_a_missing_file_is_reported(model_dir, name):
    os.remove(os.path.join(model_dir, name))
    with pytest.raises(check.FailedCheck, match=f"the model has no {name}"):
        check.check_answers(model_dir)


def test_answers_must_be_as_many_as_requests(tmp_path):
    path = save(Doubling(), tmp_path)
    with open(os.path.join(path, check.EXPECTED), "w") as file:
        file.write("[]")
    with pytest.raises(check.FailedCheck, match="1 warm-up requests, but 0 expected answers"):
        check.check_answers(path)
