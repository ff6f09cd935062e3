# SPDX-License-Identifier: Apache-2.0
"""Packages with lazy attributes show their public names, not what they import themselves."""

import importlib
import subprocess
import sys

import pytest

PACKAGES = (
    *("mixer_tf", "mixer_tf.checkpoints", "mixer_tf.datasets.sources", "mixer_tf.images"),
    "mixer_tf.models",
)


@pytest.mark.parametrize("name", PACKAGES)
def test_dir_shows_the_public_names_alone(name):
    package = importlib.import_module(name)
    shown = [word for word in dir(package) if not (word[:2] == word[-2:] == "__")]
    assert shown == sorted(package.__all__)
    for attribute in shown:
        assert getattr(package, attribute) is not None
    assert [word for word in dir(package) if not word.startswith("__")] == shown  # as before use
    assert {"__doc__", "__name__", "__all__"} <= set(dir(package))


def test_star_import_brings_the_public_names_alone():
    code = (
        "before = set(dir())\n"
        "from mixer_tf import *\n"
        "import mixer_tf\n"
        "print(sorted(set(dir()) - before - {'before', 'mixer_tf'}) == sorted(mixer_tf.__all__))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
