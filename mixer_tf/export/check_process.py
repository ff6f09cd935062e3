# SPDX-License-Identifier: Apache-2.0
"""Runs `check.py` in a fresh process, and reports its result or why it ended without one."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

_SCRIPT = pathlib.Path(__file__).with_name("check.py")
_TIMEOUT_SECONDS = 900


def check(model_dir: str, timeout: float = _TIMEOUT_SECONDS) -> dict[str, Any]:
    """Checks a SavedModel.

    Args:
        model_dir: path of the SavedModel; any file system that TensorFlow knows.
        timeout: seconds after which a model that does not answer has failed.

    Returns:
        `reason` ("" for a model that passed), and for a completed check also `requests`,
        `largest_difference`, `batch_sizes`, `load_seconds`, `seconds`.
    """
    # -I: the process finds no module of ours by the working directory or PYTHONPATH.
    command = [sys.executable, "-I", str(_SCRIPT), model_dir]
    # The parent process may have allocated all memory of the GPUs.
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return {"reason": f"the model gave no answer within {timeout:.0f} s"}
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"reason": _failure(done)}


def _failure(done: subprocess.CompletedProcess) -> str:
    """Returns why a check ended without a result, such as "… was ended by SIGSEGV"."""
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return f"the process that loaded the model was ended by {name}"
    last_line = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return f"the process that loaded the model failed: {last_line}"
