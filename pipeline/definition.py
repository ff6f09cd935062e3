# SPDX-License-Identifier: Apache-2.0
"""The whole graph on one screen. It does not depend on the runner that executes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.pipeline import Pipeline

from pipeline.configs import PipelineConfig
from pipeline.stages.data import create_data_stage
from pipeline.stages.delivery import create_delivery_stage
from pipeline.stages.earlier_model import create_last_pushed_model
from pipeline.stages.gates import create_gates_stage
from pipeline.stages.report import create_report_stage
from pipeline.stages.training import create_training_stage


def create_pipeline(config: PipelineConfig, metadata_connection_config=None) -> Pipeline:
    """Builds the graph from images to a pushed model; opens no source, file or connection.

    Args:
        config: see `PipelineConfig`.
        metadata_connection_config: where LocalDagRunner keeps ML Metadata; the Kubeflow and
            Vertex runners bring their own.
    """
    data = create_data_stage(config)
    examples = data.preprocessor.outputs["preprocessed_examples"]
    last_pushed = create_last_pushed_model(config)
    training = create_training_stage(config, examples=examples, last_pushed=last_pushed)
    model = training.trainer.outputs["model"]
    gates = create_gates_stage(
        config, examples=examples, model=model, images=data.images, last_pushed=last_pushed
    )
    delivery = create_delivery_stage(
        config,
        model=model,
        model_blessing=gates.evaluator.outputs["blessing"],
        infra_blessing=gates.model_checker.outputs["blessing"],
        anomalies=data.example_validator.outputs["anomalies"],
        drift=data.drift_validator.outputs["anomalies"],
        evaluation=gates.evaluator.outputs["evaluation"],
        examples=examples,
        data_fingerprint=data.data_fingerprint_value,
        server_blessing=gates.infra_validator and gates.infra_validator.outputs["blessing"],
    )
    report = create_report_stage(config, data, training, gates, delivery)
    stages = (data, training, gates, delivery, report)
    components = [component for stage in stages for component in stage.components]
    _set_beam_args(components, config.beam_args)
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=config.root,
        components=components,
        enable_cache=config.enable_cache,
        metadata_connection_config=metadata_connection_config,
    )


def _set_beam_args(components: Iterable[BaseNode], beam_args: Sequence[str]) -> None:
    """Gives the options to the steps that run on Beam.

    As options of the whole pipeline, Kubeflow Pipelines v2 would pass them to every step, and TFX
    would repeat them when the components are replaced, as `--to` does.
    """
    for component in components:
        if isinstance(component, BaseBeamComponent):
            component.with_beam_pipeline_args(beam_args)
