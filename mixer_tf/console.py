# SPDX-License-Identifier: Apache-2.0
"""A quiet console: only our own lines reach the terminal, unless `--verbose` asks for all."""

from __future__ import annotations

import logging
import os
import warnings

_NOISY = ("tensorflow", "apache_beam", "tensorflow_model_analysis", "absl", "root")


def quiet() -> None:
    """Silences TensorFlow, Beam and TFX; call it before any of them is imported.

    Environment variables are set as well, because worker processes inherit only those.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["PYTHONWARNINGS"] = "ignore"
    warnings.filterwarnings("ignore")
    logging.getLogger().setLevel(logging.ERROR)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        from absl import logging as absl_logging
    except ImportError:
        return
    absl_logging.set_verbosity(absl_logging.ERROR)
    absl_logging.set_stderrthreshold(absl_logging.ERROR)
