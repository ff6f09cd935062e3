# SPDX-License-Identifier: Apache-2.0
"""The entry point of TFX's Trainer: turns its arguments into those of `trainer.fit`.

Its `custom_config` holds

* `recipe`: the recipe as JSON,
* `strategy`: a name that `distribution.create_strategy` knows,
* `checkpoint_dir`: a folder that stays from run to run,
* `fingerprint`: the state of the code and of whatever else the training depends on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence

from tfx.components.trainer.fn_args_utils import FnArgs

from mixer_tf import storage
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training import distribution, trainer
from mixer_tf.training.exporting import export_fitted
from mixer_tf.training.input.split import open_files


def run_fn(fn_args: FnArgs) -> None:
    """Trains on the Examples of the pipeline and exports to the Model artifact."""
    config = fn_args.custom_config
    # With several workers, this must be the first thing that TensorFlow does.
    strategy = distribution.create_strategy(config["strategy"])
    train_files, eval_files = _files(fn_args.train_files), _files(fn_args.eval_files)
    info = DatasetInfo.read(_examples_folder(fn_args.train_files))
    splits = open_files({TRAIN: train_files, EVAL: eval_files}, info)
    key = checkpoint_key(config, [*train_files, *eval_files])
    fitted = trainer.fit(
        Recipe.from_json(config["recipe"]),
        splits[TRAIN],
        splits.get(EVAL),
        strategy=strategy,
        checkpoint_dir=os.path.join(config["checkpoint_dir"], key),
        log_dir=fn_args.model_run_dir,
    )
    export_fitted(fitted, info.class_names, fn_args.serving_model_dir)


def checkpoint_key(config: dict, files: Sequence[str]) -> str:
    """Returns a name for a training: the same for the same recipe, code and input files.

    Each execution of a Trainer gets a new output folder, where a killed training would not find
    its checkpoints.
    """
    sizes = {file: storage.file_size(file) for file in files}
    parts = [config["recipe"], config["fingerprint"], sizes]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _files(patterns: Sequence[str]) -> list[str]:
    return sorted(file for pattern in patterns for file in storage.find_files(pattern))


def _examples_folder(patterns: Sequence[str]) -> str:
    """Returns the root of the Examples, which holds `dataset.json`: two levels above its files."""
    return os.path.dirname(os.path.dirname(patterns[0]))
