# SPDX-License-Identifier: Apache-2.0
"""The training stage: from preprocessed examples to a trained and exported model.

A search for hyperparameters comes first, if the configuration asks for one.
"""

from __future__ import annotations

import dataclasses

from tfx.dsl.components.common.resolver import Resolver
from tfx.proto import trainer_pb2
from tfx.types import BaseChannel

from components.last_pushed_model import LastPushedModel
from components.trainer import Trainer
from components.tuner import Tuner
from mixer_tf import features
from pipeline.configs import PipelineConfig
from pipeline.stages import earlier_model, stage


@dataclasses.dataclass(frozen=True)
class TrainingStage(stage.Stage):
    """The components that tune and train, and the step that finds the model to start from."""

    base_model: Resolver | LastPushedModel | None
    tuner: Tuner | None
    trainer: Trainer


def create_training_stage(
    config: PipelineConfig, examples: BaseChannel, last_pushed: LastPushedModel | None = None
) -> TrainingStage:
    """Trains the model of the recipe, with the best hyperparameters that a search has found.

    Args:
        config: the run.
        examples: a channel of preprocessed Examples.
        last_pushed: the model that a warm start begins with; None for a Resolver's.
    """
    base_model = None
    if config.warm_start:
        base_model = last_pushed or earlier_model.create_base_model_resolver()
    tuner = _create_tuner(config, examples)
    trainer = Trainer(
        examples=examples,
        hyperparameters=tuner and tuner.outputs["best_hyperparameters"],
        base_model=base_model and base_model.outputs["model"],
        train_args=trainer_pb2.TrainArgs(splits=[features.TRAIN]),
        eval_args=trainer_pb2.EvalArgs(splits=[features.EVAL]),
        custom_config={
            "recipe": config.recipe.to_json(),
            "strategy": config.strategy,
            "checkpoint_dir": config.checkpoint_path,
            **({"log_dir": config.log_path} if config.log_path else {}),
            **({"profile": config.profile} if config.profile else {}),
            "fingerprint": config.fingerprints.trainer,
        },
    )
    return TrainingStage(base_model=base_model, tuner=tuner, trainer=trainer)


def _create_tuner(config: PipelineConfig, examples: BaseChannel) -> Tuner | None:
    """The component that searches what `config.search` says; None where it is off."""
    if config.search is None:
        return None
    return Tuner(
        examples=examples,
        custom_config={
            "recipe": config.recipe.to_json(),
            "grids": list(config.search.grids),
            "count": config.search.count,
            "strategy": config.strategy,
            "trials_dir": config.trials_path,
            "fingerprint": config.fingerprints.tuner,
        },
    )
