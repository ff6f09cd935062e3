# SPDX-License-Identifier: Apache-2.0
"""The contract of RunReport: its parameters, inputs and output."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import BaseChannel, channel_utils, component_spec, standard_artifacts

from components.artifacts import (
    DeduplicationReport,
    FewShotReport,
    ImageStatisticsReport,
    PipelineReport,
    QuarantineReport,
)
from components.run_report.executor import Executor

_TYPES = {
    "source_examples": standard_artifacts.Examples,
    "duplicates": DeduplicationReport,
    "statistics": ImageStatisticsReport,
    "anomalies": standard_artifacts.ExampleAnomalies,
    "drift": standard_artifacts.ExampleAnomalies,
    "examples": standard_artifacts.Examples,
    "quarantine": QuarantineReport,
    "hyperparameters": standard_artifacts.HyperParameters,
    "model": standard_artifacts.Model,
    "model_run": standard_artifacts.ModelRun,
    "evaluation": standard_artifacts.ModelEvaluation,
    "few_shot": FewShotReport,
    "model_blessing": standard_artifacts.ModelBlessing,
    "infra_blessing": standard_artifacts.InfraBlessing,
    "server_blessing": standard_artifacts.InfraBlessing,
    "pushed_model": standard_artifacts.PushedModel,
}


class RunReportSpec(component_spec.ComponentSpec):
    """Parameters, inputs and output of RunReport."""

    PARAMETERS = {
        "pipeline_name": component_spec.ExecutionParameter(type=str),
        "options": component_spec.ExecutionParameter(type=str, optional=True),
        "root": component_spec.ExecutionParameter(type=str, optional=True),
        "fingerprint": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        name: component_spec.ChannelParameter(type=kind, optional=True)
        for name, kind in _TYPES.items()
    }
    OUTPUTS = {"report": component_spec.ChannelParameter(type=PipelineReport)}


class RunReport(base_component.BaseComponent):
    """Writes one page about a run: `report.html`, and its facts as `report.json`.

    It comes last, and reads only what the other steps have written: the counts of the images,
    unusable images, near-duplicates, statistics, the recipe and what was changed of it, the curves
    of the training, the evaluation by class, the gates, and why a model was not pushed. An input
    that is not connected is a step that did not run, which the page says.

    ```
    report = RunReport(
        pipeline_name="pets",
        model=trainer.outputs["model"],
        evaluation=evaluator.outputs["evaluation"],
        pushed_model=pusher.outputs["pushed_model"],
    )
    ```
    """

    SPEC_CLASS = RunReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        pipeline_name: str,
        options: Sequence[str] = (),
        root: str | None = None,
        fingerprint: str | None = None,
        **inputs: BaseChannel | None,
    ):
        """Makes the component.

        Args:
            pipeline_name: the name of the pipeline.
            options: options of the local runner that give the same run, without the source and the
                recipe, which the inputs state.
            root: the root of the pipeline; it is shown, and nothing is read from it.
            fingerprint: the state of the code; the cached output is used while it is equal.
            **inputs: the channels of `RunReportSpec.INPUTS`, each optional or None: what the steps
                ImageExampleGen (`source_examples`), Deduplicator (`duplicates`), ImageStatistics
                (`statistics`), ExampleValidator (`anomalies`), DriftValidator (`drift`),
                Preprocessor (`examples`, `quarantine`), Tuner (`hyperparameters`), Trainer
                (`model`, `model_run`), Evaluator (`evaluation`, `model_blessing`), FewShotEvaluator
                (`few_shot`), ModelChecker (`infra_blessing`), InfraValidator (`server_blessing`)
                and Pusher (`pushed_model`) have written.
        """
        super().__init__(
            RunReportSpec(
                pipeline_name=pipeline_name,
                options=json.dumps(list(options)),
                root=root,
                fingerprint=fingerprint,
                report=channel_utils.as_channel([PipelineReport()]),
                **inputs,
            )
        )
