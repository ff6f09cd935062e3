# SPDX-License-Identifier: Apache-2.0
"""What a training logs for TensorBoard: one run per training, with tags in groups.

* `train/…`, `eval/…`: the scalars of each epoch against the number of steps (`scalars.py`),
* `train_steps/…`: those of the training within long epochs (`step_scalars.py`),
* `train/images`: augmented images as the model gets them; `weights/…`: plots of a Mixer's weights
  (`images.py`); `eval/confusion` (`confusion.py`),
* the HParams dashboard: the recipe (`hparams.py`); the profiler: some steps (`profiling.py`).

`event_files.py` writes the files, and repairs them where a training resumes; `runs.py` names runs.
"""

from mixer_tf.training.tensorboard.confusion import ConfusionImages, ConfusionMatrix
from mixer_tf.training.tensorboard.event_files import LogBackup, RunLog
from mixer_tf.training.tensorboard.hparams import RecipeHParams
from mixer_tf.training.tensorboard.images import SampleImages, WeightImages
from mixer_tf.training.tensorboard.scalars import TensorBoardScalars

__all__ = [
    "ConfusionImages",
    "ConfusionMatrix",
    "LogBackup",
    "RecipeHParams",
    "RunLog",
    "SampleImages",
    "TensorBoardScalars",
    "WeightImages",
]
