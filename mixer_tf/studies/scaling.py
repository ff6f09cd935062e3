# SPDX-License-Identifier: Apache-2.0
"""The study of data scaling (paper, Figure 2 right): models trained on nested parts of the images.

Every part is trained for the same number of steps, so that a smaller one is passed over more often:
the paper's 3, 10, 30 and 100 % of JFT-300M are trained for 233, 70, 23 and 7 epochs.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.features import TRAIN
from mixer_tf.studies import subsets, trials
from mixer_tf.studies.measured_training import MeasuredTraining
from mixer_tf.studies.study_folder import DATA, StudyFolder, Trial
from mixer_tf.training.input.split import Split, open_splits


class ScalingStudy:
    """Trains on parts of the images in the folder of a study.

    Args:
        training: trains and measures.
        folder: the folder, of which the caller holds the lock.
        info: the `dataset.json` of the images.
        id_of: path of an image in its record → the id that decides about subsets.
    """

    def __init__(
        self,
        training: MeasuredTraining,
        folder: StudyFolder,
        info: DatasetInfo,
        id_of: Callable[[str], str] = str,
    ):
        self._training, self._folder, self._info, self._id_of = training, folder, info, id_of

    def train(self, trial: Trial, report: trials.Report = lambda step, steps: None) -> dict:
        """Trains one model on its part of the images, and returns its row of the results.

        Args, raises: see `MeasuredTraining.train`.
        """
        subset, notes = self._subset(trial.settings["share"], trial.settings["subset_seed"])
        row = self._training.train(trial, subset, report)
        return {**row, "notes": [*row["notes"], *notes]}

    def _subset(self, share: float, seed: int) -> tuple[Split, list[str]]:
        """Returns the part of the training images, and notes of missing classes."""
        if share == 1:
            return self._training.splits[TRAIN], []  # whose notes are shown with the images
        target = self._folder.path(os.path.join("subsets", f"{share:g}-seed{seed}"))
        info = subsets.write_subset(
            self._folder.path(DATA), self._info, target, share, seed, self._id_of
        )
        notes = [f"{100 * share:.4g} % of the images: {note}" for note in info.notes_of_classes]
        return open_splits(target, info)[TRAIN], notes
