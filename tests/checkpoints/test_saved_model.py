# SPDX-License-Identifier: Apache-2.0
import numpy as np
import tensorflow as tf

from mixer_tf.checkpoints.formats.saved_model import open_saved_model


def test_the_weights_of_an_export_bear_their_names(tmp_path, tiny_model, authors_arrays):
    served = tf.Module()  # as in training/signatures.py: a list of variables, and nothing of Keras
    served.weights = tiny_model.variables
    served.step = tf.Variable(3, name="step")
    tf.saved_model.save(served, str(tmp_path / "1"))
    expected = authors_arrays(tiny_model)
    with open_saved_model(str(tmp_path / "1")) as opened:
        assert opened.shapes == {name: array.shape for name, array in expected.items()}
        for name, array in expected.items():
            np.testing.assert_array_equal(opened.read(name), array)


def test_so_do_those_that_keras_has_saved(tmp_path, tiny_model, pixels, authors_arrays):
    tiny_model.compile(optimizer="adam", loss="mse")
    tiny_model.fit(pixels, np.zeros((3, 5)), verbose=0)  # so that there are slots beside them
    tiny_model.save(tmp_path / "1", save_format="tf")
    expected = authors_arrays(tiny_model)
    with open_saved_model(str(tmp_path / "1")) as opened:
        assert opened.shapes == {name: array.shape for name, array in expected.items()}
        for name, array in expected.items():
            np.testing.assert_array_equal(opened.read(name), array)
