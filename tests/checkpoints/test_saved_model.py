# SPDX-License-Identifier: Apache-2.0
"""The weights in SavedModels, whoever wrote them."""

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.checkpoints.formats.saved_model import open_saved_model


def test_weights_of_an_export_have_the_models_names(tmp_path, tiny_model, flax_arrays):
    served = tf.Module()  # as in export/signatures.py: a list of variables, no Keras objects
    served.weights = tiny_model.variables
    served.step = tf.Variable(3, name="step")
    tf.saved_model.save(served, str(tmp_path / "1"))
    expected = flax_arrays(tiny_model)
    with open_saved_model(str(tmp_path / "1")) as opened:
        assert opened.shapes == {name: array.shape for name, array in expected.items()}
        for name, array in expected.items():
            np.testing.assert_array_equal(opened.read(name), array)


@pytest.mark.slow
def test_weights_saved_by_keras_have_the_models_names(tmp_path, tiny_model, pixels, flax_arrays):
    tiny_model.compile(optimizer="adam", loss="mse")
    tiny_model.fit(pixels, np.zeros((3, 5)), verbose=0)  # adds optimizer slots
    tiny_model.save(tmp_path / "1", save_format="tf")
    expected = flax_arrays(tiny_model)
    with open_saved_model(str(tmp_path / "1")) as opened:
        assert opened.shapes == {name: array.shape for name, array in expected.items()}
        for name, array in expected.items():
            np.testing.assert_array_equal(opened.read(name), array)
