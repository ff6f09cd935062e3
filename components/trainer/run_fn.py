# SPDX-License-Identifier: Apache-2.0
"""The entry point of TFX's Trainer: turns its arguments into those of `trainer.fit`.

Its `custom_config` holds

* `recipe`: the recipe as JSON,
* `strategy`: a name that `distribution.create_strategy` knows,
* `checkpoint_dir`: a folder that stays from run to run,
* `log_dir`: likewise, for the logs of all trainings, so that one TensorBoard shows them side by
  side; optional: without it, the logs are stored in the ModelRun artifact,
* `profile`: the steps to trace for TensorBoard's profiler, such as "10:20"; optional,
* `checkpoints`: optional; fields of `CheckpointOptions`, such as {"minutes": 5, "steps": 1000};
  without minutes, the environment variable MIXER_TF_CHECKPOINT_MINUTES may hold them,
* `fingerprint`: the state of the code and of whatever else the training depends on.

With `hyperparameters`, those replace fields of the recipe. With a `base_model`, the training starts
from its weights instead of those of the recipe.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from tfx.components.trainer.fn_args_utils import FnArgs

from components import hyperparameters, training_config
from components.training_config import LOGS_FILE
from mixer_tf import storage
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.recipes.schema import Recipe
from mixer_tf.serving import versions
from mixer_tf.training import distribution, trainer, warm_start
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.exporting import export_fitted
from mixer_tf.training.input.split import open_files
from mixer_tf.training.profiled_steps import ProfiledSteps
from mixer_tf.training.tensorboard import runs

_RUN_NAME = "run_name.txt"  # beside the checkpoints of the training, and removed with them


def run_fn(fn_args: FnArgs) -> None:
    """Trains on the Examples of the pipeline and exports to the Model artifact."""
    config = fn_args.custom_config
    # With several workers, this must be the first thing that TensorFlow does.
    strategy = distribution.create_strategy(config["strategy"])
    train_files, eval_files = _files(fn_args.train_files), _files(fn_args.eval_files)
    info = DatasetInfo.read(_examples_folder(fn_args.train_files))
    splits = open_files({TRAIN: train_files, EVAL: eval_files}, info)
    recipe = hyperparameters.apply(Recipe.from_json(config["recipe"]), fn_args.hyperparameters)
    base_model, config = fn_args.base_model, {**config, "recipe": recipe.to_json()}
    initial = warm_start.read_weights(base_model, recipe, info.class_names) if base_model else None
    key = checkpoint_key(config, [*train_files, *eval_files], base_model)
    checkpoint_dir = os.path.join(config["checkpoint_dir"], key)
    fitted = trainer.fit(
        recipe,
        splits[TRAIN],
        splits.get(EVAL),
        strategy=strategy,
        checkpoint_dir=checkpoint_dir,
        checkpoints=CheckpointOptions.from_environment(**config.get("checkpoints", {})),
        log_dir=_log_folder(fn_args, recipe, checkpoint_dir, distribution.is_chief(strategy)),
        profile=ProfiledSteps.parse(config["profile"]) if "profile" in config else None,
        initial_weights=initial,
    )
    export_fitted(fitted, info.class_names, fn_args.serving_model_dir)


def checkpoint_key(config: dict, files: Sequence[str], base_model: str | None = None) -> str:
    """Returns a name for a training: the same for the same recipe, code, input files and base.

    The recipe is the whole one, with the hyperparameters of a Tuner.
    """
    base = [versions.fingerprint(base_model)] if base_model else []
    return training_config.key([config["recipe"], config["fingerprint"], *base], files)


def _log_folder(fn_args: FnArgs, recipe: Recipe, checkpoint_dir: str, is_chief: bool) -> str:
    """Returns the folder of the training's logs, the same one when the training resumes.

    The ModelRun artifact then holds a file with that path: with a copy of the logs, TensorBoard
    would show each training of a pipeline twice.
    """
    logs = fn_args.custom_config.get("log_dir")
    if not is_chief:  # it does not log
        return fn_args.model_run_dir
    record = os.path.join(checkpoint_dir, _RUN_NAME)
    folder = runs.run_folder(logs or fn_args.model_run_dir, recipe.name, record)
    if logs:
        storage.make_folder(fn_args.model_run_dir)
        storage.write_text(os.path.join(fn_args.model_run_dir, LOGS_FILE), f"{folder}\n")
    return folder


def _files(patterns: Sequence[str]) -> list[str]:
    return sorted(file for pattern in patterns for file in storage.find_files(pattern))


def _examples_folder(patterns: Sequence[str]) -> str:
    """Returns the root of the Examples, which holds `dataset.json`: two levels above its files."""
    return os.path.dirname(os.path.dirname(patterns[0]))
