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
  those that are missing may come from the environment variables that it names,
* `fingerprint`: the state of the code and of whatever else the training depends on.

With `hyperparameters`, those replace fields of the recipe. With a `base_model`, the training starts
from its weights instead of those of the recipe.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import tensorflow as tf
from tfx.components.trainer.fn_args_utils import FnArgs

from components import hyperparameters, training_config
from components.trainer import finished_trainings
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
from mixer_tf.training.trainer import Fitted

_RUN_NAME = "run_name.txt"  # beside the checkpoints of the training, and removed with them


def run_fn(fn_args: FnArgs) -> None:
    """Trains on the Examples of the pipeline and exports to the Model artifact.

    The last checkpoint stays, because TFX publishes the model afterwards; see
    `finished_trainings`.
    """
    config = fn_args.custom_config
    # With several workers, this must be the first thing that TensorFlow does.
    strategy = distribution.create_strategy(config["strategy"])
    info = DatasetInfo.read(_examples_folder(fn_args.train_files))
    recipe = hyperparameters.apply(Recipe.from_json(config["recipe"]), fn_args.hyperparameters)
    checkpoint_dir = _checkpoint_dir(fn_args, recipe)
    if distribution.is_chief(strategy):
        finished_trainings.unmark(checkpoint_dir)
        finished_trainings.remove(config["checkpoint_dir"])
    fitted = _fit(fn_args, recipe, info, strategy, checkpoint_dir)
    export_fitted(fitted, info.class_names, fn_args.serving_model_dir, keep_checkpoints=True)
    if fitted.is_chief:
        finished_trainings.mark(checkpoint_dir)


def _checkpoint_dir(fn_args: FnArgs, recipe: Recipe) -> str:
    config = {**fn_args.custom_config, "recipe": recipe.to_json()}
    files = [*_files(fn_args.train_files), *_files(fn_args.eval_files)]
    return os.path.join(config["checkpoint_dir"], checkpoint_key(config, files, fn_args.base_model))


def _fit(
    fn_args: FnArgs,
    recipe: Recipe,
    info: DatasetInfo,
    strategy: tf.distribute.Strategy,
    checkpoint_dir: str,
) -> Fitted:
    config, base_model = fn_args.custom_config, fn_args.base_model
    files = {TRAIN: _files(fn_args.train_files), EVAL: _files(fn_args.eval_files)}
    splits = open_files(files, info)
    initial = warm_start.read_weights(base_model, recipe, info.class_names) if base_model else None
    return trainer.fit(
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
