# SPDX-License-Identifier: Apache-2.0
"""The training stage: from preprocessed examples to a trained and exported model."""

from __future__ import annotations

import dataclasses

from tfx.dsl.components.common.resolver import Resolver
from tfx.proto import trainer_pb2
from tfx.types import BaseChannel

from components.trainer import Trainer
from mixer_tf import features
from pipeline.configs import PipelineConfig
from pipeline.stages import blessed_model, stage

BASE_MODEL_RESOLVER = "BaseModelResolver"


@dataclasses.dataclass(frozen=True)
class TrainingStage(stage.Stage):
    """The components that train, and the Resolver of the model to start from."""

    base_model: Resolver | None
    trainer: Trainer


def create_training_stage(config: PipelineConfig, examples: BaseChannel) -> TrainingStage:
    """Trains the model of the recipe.

    Args:
        config: the run.
        examples: a channel of preprocessed Examples.
    """
    base_model = blessed_model.create_resolver(BASE_MODEL_RESOLVER) if config.warm_start else None
    trainer = Trainer(
        examples=examples,
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
    return TrainingStage(base_model=base_model, trainer=trainer)
