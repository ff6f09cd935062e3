# SPDX-License-Identifier: Apache-2.0
"""The delivery stage: a model that passed every gate becomes a new version to serve."""

from __future__ import annotations

import dataclasses
import json

from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.placeholder.placeholder import Placeholder
from tfx.types import BaseChannel

from components.bulk_predictor import BulkPredictor
from components.pusher import Pusher
from mixer_tf.messages import path_without_credentials
from pipeline.configs import PipelineConfig
from pipeline.stages import stage

# What shapes the data and the gates; the recipe is beside the lineage.
_OPTIONS = (
    *("exclude", "deduplicate", "deduplicate_train", "duplicate_threshold"),
    *("min_accuracy", "max_accuracy_drop", "strategy"),
)


@dataclasses.dataclass(frozen=True)
class DeliveryStage(stage.Stage):
    """The components that hand a model over, or use it."""

    pusher: Pusher
    deployer: BaseNode | None
    bulk_predictor: BulkPredictor | None


def create_delivery_stage(
    config: PipelineConfig,
    model: BaseChannel,
    model_blessing: BaseChannel,
    infra_blessing: BaseChannel,
    anomalies: BaseChannel,
    evaluation: BaseChannel,
    examples: BaseChannel,
    drift: BaseChannel | None = None,
    server_blessing: BaseChannel | None = None,
    data_fingerprint: Placeholder | None = None,
) -> DeliveryStage:
    """Pushes the model to the serving folder, to an endpoint if there is one, and uses it.

    The images of `config.predict` are classified with it.

    Args:
        config: the run.
        model: a channel of the trained Model.
        model_blessing: the Evaluator's verdict on it.
        infra_blessing: the ModelChecker's verdict on it.
        anomalies: what the ExampleValidator found in the data.
        evaluation: the Evaluator's metrics.
        examples: the images of the training.
        drift: what the DriftValidator found in them; None where it is off.
        server_blessing: the InfraValidator's verdict on the model; None where it is off.
        data_fingerprint: digest of the data; None where `config.fingerprints` have it.
    """
    pusher = Pusher(
        model=model,
        model_blessing=model_blessing,
        infra_blessing=infra_blessing,
        anomalies=anomalies,
        evaluation=evaluation,
        examples=examples,
        drift=drift,
        server_blessing=server_blessing,
        push_destination=config.serving_path,
        keep_versions=config.keep_versions,
        lineage=json.dumps(_lineage(config)),
        fingerprint=config.fingerprints.pusher,
        data_fingerprint=data_fingerprint,
    )
    return DeliveryStage(
        pusher=pusher,
        deployer=_create_deployer(config, pusher),
        bulk_predictor=_create_bulk_predictor(config, model, model_blessing, infra_blessing),
    )


def _create_bulk_predictor(
    config: PipelineConfig,
    model: BaseChannel,
    model_blessing: BaseChannel,
    infra_blessing: BaseChannel,
) -> BulkPredictor | None:
    """The component that classifies the images of `config.predict`, if there are any."""
    if not config.predict:
        return None
    return BulkPredictor(
        source=config.predict,
        model=model,
        model_blessing=model_blessing,
        infra_blessing=infra_blessing,
        data_dir=config.data_dir,
        fingerprint=config.fingerprints.bulk_predictor,
    )


def _create_deployer(config: PipelineConfig, pusher: Pusher) -> BaseNode | None:
    """The component that serves the model on Vertex AI, if the configuration asks for it."""
    if config.deployment is None:
        return None
    from components.endpoint_deployer import EndpointDeployer  # imports Google's client

    return EndpointDeployer(
        pushed_model=pusher.outputs["pushed_model"], deployment=config.deployment
    )


def _lineage(config: PipelineConfig) -> dict[str, object]:
    """Returns what the configuration knows of a model's history, as fields of `Lineage`."""
    options = {name: getattr(config, name) for name in _OPTIONS}
    return {
        "pipeline": config.name,
        "recipe": config.recipe.name,
        "fingerprints": dataclasses.asdict(config.fingerprints),
        "options": {
            **options,
            "search": config.search and dataclasses.asdict(config.search),
            "downstream_test_sets": [*map(path_without_credentials, config.downstream_test_sets)],
        },
    }
