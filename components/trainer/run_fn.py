# SPDX-License-Identifier: Apache-2.0
"""The entry point of TFX's Trainer: turns its arguments into those of `trainer.train`.

The one module of mixer_tf that knows TFX. Its `custom_config` holds

* `recipe`: the recipe as JSON,
* `strategy`: a word for `strategy.create_strategy`,
* `checkpoint_dir`: a folder that stays from run to run,
* `fingerprint`: of the code and whatever else the training depends on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence

import tensorflow as tf
from tfx.components.trainer.fn_args_utils import FnArgs

from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training import trainer


def run_fn(fn_args: FnArgs) -> None:
    """Trains on the Examples of the pipeline and exports to the Model artifact."""
    config = fn_args.custom_config
    train_files, eval_files = _files(fn_args.train_files), _files(fn_args.eval_files)
    trainer.train(
        Recipe.from_json(config["recipe"]),
        train_files=train_files,
        eval_files=eval_files,
        dataset_info=DatasetInfo.read(_examples_folder(fn_args.train_files)),
        output_dir=fn_args.serving_model_dir,
        checkpoint_dir=os.path.join(
            config["checkpoint_dir"], checkpoint_key(config, [*train_files, *eval_files])
        ),
        log_dir=fn_args.model_run_dir,
        strategy=config["strategy"],
    )


def checkpoint_key(config: dict, files: Sequence[str]) -> str:
    """Returns a name for a training: the same for the same recipe, code and input files.

    Each execution of a Trainer has a new folder, so that a training which was killed could not
    find its checkpoints there.
    """
    sizes = {file: tf.io.gfile.stat(file).length for file in files}
    parts = [config["recipe"], config["fingerprint"], sizes]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _files(patterns: Sequence[str]) -> list[str]:
    return sorted(file for pattern in patterns for file in tf.io.gfile.glob(pattern))


def _examples_folder(patterns: Sequence[str]) -> str:
    """The root of the Examples, which holds `dataset.json`: two levels above their files."""
    return os.path.dirname(os.path.dirname(patterns[0]))
