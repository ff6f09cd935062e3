# SPDX-License-Identifier: Apache-2.0
"""The contract of Tuner: its parameters, input and outputs."""

from __future__ import annotations

from typing import Any

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import BaseChannel, channel_utils, component_spec, standard_artifacts
from tfx.utils import json_utils

from components.tuner.executor import Executor


class TunerSpec(component_spec.ComponentSpec):
    """Parameters, inputs and outputs of Tuner."""

    PARAMETERS = {
        "custom_config": component_spec.ExecutionParameter(type=str),
        "overrides": component_spec.ExecutionParameter(type=str, optional=True),
        "root": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {
        "best_hyperparameters": component_spec.ChannelParameter(
            type=standard_artifacts.HyperParameters
        ),
        "tuner_results": component_spec.ChannelParameter(type=standard_artifacts.TunerResults),
    }


class Tuner(base_component.BaseComponent):
    """Trains a recipe with several hyperparameters and keeps the best by the evaluation split.

    It is `mixer_tf.training.sweep` as a step. Its outputs have the types and the files of TFX's own
    Tuner:

    ```
    tuner = Tuner(
        examples=preprocessor.outputs["preprocessed_examples"],
        custom_config={"recipe": recipe.to_json(), "grids": [], "count": None, "strategy": "auto",
                       "trials_dir": "/tuning", "fingerprint": ""},
    )
    trainer = Trainer(..., hyperparameters=tuner.outputs["best_hyperparameters"])
    ```

    Deviation from TFX's Tuner: no `tuner_fn`, `module_file` or `tune_args`; a search needs nothing
    but the recipe and the values to try, and each trial is a process of its own.
    """

    SPEC_CLASS = TunerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel,
        custom_config: dict[str, Any],
        overrides: str | None = None,
        root: str | None = None,
    ):
        """Makes the component.

        Args:
            examples: a channel of preprocessed Examples.
            custom_config: see `components.tuner.executor`.
            overrides: "section.field=value" items of the recipe, separated by spaces and quoted as
                in a shell.
            root: the folder below which a relative `trials_dir` is stored.
        """
        super().__init__(
            TunerSpec(
                examples=examples,
                custom_config=json_utils.dumps(custom_config),
                overrides=overrides,
                root=root,
                best_hyperparameters=channel_utils.as_channel(
                    [standard_artifacts.HyperParameters()]
                ),
                tuner_results=channel_utils.as_channel([standard_artifacts.TunerResults()]),
            )
        )
