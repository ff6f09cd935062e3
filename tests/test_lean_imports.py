# SPDX-License-Identifier: Apache-2.0
"""TensorFlow without its optional packages, which can be imported afterwards."""

import subprocess
import sys

import pytest

from mixer_tf import lean_imports

_CODE = """
import sys
from mixer_tf.lean_imports import import_tensorflow
tf = import_tensorflow()
assert not {"jax", "pandas", "googleapiclient"} & set(sys.modules)
assert float(tf.keras.layers.Dense(1, kernel_initializer="ones")(tf.ones([1, 3]))) == 3
import pandas
assert pandas.DataFrame({"a": [1]}).a.sum() == 1
"""


def test_the_packages_are_left_out_and_can_be_imported_afterwards():
    pytest.importorskip("pandas")
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_what_is_imported_already_stays(monkeypatch):
    import tensorflow

    monkeypatch.setitem(sys.modules, "pandas", sys)
    assert lean_imports.import_tensorflow() is tensorflow
    assert sys.modules["pandas"] is sys
