# SPDX-License-Identifier: Apache-2.0
"""The checkpoints of finished trainings, which stay until TFX has published their models.

TFX publishes the model of a step after the step has ended. Killed in between, the step runs again:
with its last checkpoint, it only exports again. The checkpoints are therefore removed later, by the
local runner or, where the step runs elsewhere, by the next training.
"""

from __future__ import annotations

import os

from mixer_tf import storage
from mixer_tf.training.checkpoint_files import CheckpointFiles

_MARK = "finished.txt"


def mark(folder: str) -> None:
    """Says that the model of a training is exported; only its last checkpoint stays.

    Args:
        folder: the checkpoints of the training.
    """
    CheckpointFiles(folder).prune(keep=1)
    storage.write_text(os.path.join(folder, _MARK), "")


def unmark(folder: str) -> None:
    """Keeps the checkpoints of a training, finished or not, from being removed by another one."""
    storage.remove_file(os.path.join(folder, _MARK))


def remove(folder: str) -> None:
    """Removes the checkpoints of all finished trainings.

    Args:
        folder: that of the checkpoints of all trainings.
    """
    for name in storage.list_names(folder) if storage.is_folder(folder) else ():
        training = os.path.join(folder, name)
        if storage.exists(os.path.join(training, _MARK)):
            CheckpointFiles(training).discard()
