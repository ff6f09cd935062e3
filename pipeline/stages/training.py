# SPDX-License-Identifier: Apache-2.0
"""The training stage: from preprocessed examples to a trained and exported model."""

from __future__ import annotations

import dataclasses

from tfx.proto import trainer_pb2
from tfx.types import BaseChannel

from components.trainer import Trainer
from mixer_tf import features
from pipeline.configs import PipelineConfig
from pipeline.stages import stage


@dataclasses.dataclass(frozen=True)
class TrainingStage(stage.Stage):
    """The components that train."""

    trainer: Trainer


def create_training_stage(config: PipelineConfig, examples: BaseChannel) -> TrainingStage:
    """Trains the model of the recipe.

    Args:
        config: the run.
        examples: a channel of preprocessed Examples.
    """
    trainer = Trainer(
        examples=examples,
        train_args=trainer_pb2.TrainArgs(splits=[features.TRAIN]),
        eval_args=trainer_pb2.EvalArgs(splits=[features.EVAL]),
        custom_config={
            "recipe": config.recipe.to_json(),
            "strategy": config.strategy,
            "checkpoint_dir": config.checkpoint_path,
            "fingerprint": config.fingerprints.trainer,
        },
    )
    return TrainingStage(trainer=trainer)
