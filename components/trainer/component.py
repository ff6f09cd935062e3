# SPDX-License-Identifier: Apache-2.0
"""The contract of Trainer: its parameters, input and outputs."""

from __future__ import annotations

from typing import Any

from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import BaseChannel, channel_utils, component_spec, standard_artifacts
from tfx.utils import json_utils

from components.trainer.executor import Executor


class TrainerSpec(component_spec.ComponentSpec):
    """Parameters, inputs and outputs of Trainer."""

    PARAMETERS = {
        "train_args": component_spec.ExecutionParameter(type=trainer_pb2.TrainArgs),
        "eval_args": component_spec.ExecutionParameter(type=trainer_pb2.EvalArgs),
        "custom_config": component_spec.ExecutionParameter(type=str),
        "overrides": component_spec.ExecutionParameter(type=str, optional=True),
        "root": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "base_model": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        "hyperparameters": component_spec.ChannelParameter(
            type=standard_artifacts.HyperParameters, optional=True
        ),
    }
    OUTPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
    }


class Trainer(base_component.BaseComponent):
    """Trains the model of a recipe with `components.trainer.run_fn`.

    It is TFX's Trainer with two parameters more, which an orchestrator can fill in when a run
    starts: overrides of the recipe, and the root of the pipeline.

    ```
    trainer = Trainer(
        examples=preprocessor.outputs["preprocessed_examples"],
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
        custom_config={"recipe": recipe.to_json(), "strategy": "auto", "checkpoint_dir": "/ckpt"},
    )
    ```
    """

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel,
        train_args: trainer_pb2.TrainArgs,
        eval_args: trainer_pb2.EvalArgs,
        custom_config: dict[str, Any],
        base_model: BaseChannel | None = None,
        hyperparameters: BaseChannel | None = None,
        overrides: str | None = None,
        root: str | None = None,
    ):
        """Makes the component.

        Args:
            examples: a channel of preprocessed Examples.
            train_args: the splits to train on.
            eval_args: the splits to evaluate after each epoch.
            custom_config: see `components.trainer.run_fn`.
            base_model: the Model to start from; None for the initial weights of the recipe.
            hyperparameters: the HyperParameters of a Tuner, which replace fields of the recipe;
                None for the recipe as it is.
            overrides: "section.field=value" items of the recipe, separated by spaces and quoted as
                in a shell.
            root: the folder below which a relative `checkpoint_dir` or `log_dir` is stored.
        """
        super().__init__(
            TrainerSpec(
                examples=examples,
                base_model=base_model,
                hyperparameters=hyperparameters,
                train_args=train_args,
                eval_args=eval_args,
                custom_config=json_utils.dumps(custom_config),
                overrides=overrides,
                root=root,
                model=channel_utils.as_channel([standard_artifacts.Model()]),
                model_run=channel_utils.as_channel([standard_artifacts.ModelRun()]),
            )
        )
