# SPDX-License-Identifier: Apache-2.0
"""What the console shows: our own lines only, and commands that a user can paste."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import warnings

_NOISY = ("tensorflow", "apache_beam", "tensorflow_model_analysis", "absl", "root")


def command_line(program: str, *arguments: str) -> str:
    """What to type for a program of this very Python environment, as the shell wants it."""
    path = short_path(os.path.join(os.path.dirname(sys.executable), program))
    return shlex.join([path, *arguments])


def short_path(path: str) -> str:
    """A path as a user would type it: relative where it lies below the current folder."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def quiet() -> None:
    """Silences TensorFlow, Beam and TFX; call it before any of them is imported.

    What they report as an error is raised as well, and shown then.

    Environment variables are set as well, because worker processes inherit only those.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["PYTHONWARNINGS"] = "ignore"
    warnings.filterwarnings("ignore")
    logging.getLogger().setLevel(logging.ERROR)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        from absl import logging as absl_logging
    except ImportError:
        return
    absl_logging.set_verbosity(absl_logging.FATAL)
    absl_logging.set_stderrthreshold(absl_logging.FATAL)
