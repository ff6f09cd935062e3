# SPDX-License-Identifier: Apache-2.0
"""The delivery stage: a model that passed every gate becomes a new version to serve."""

from __future__ import annotations

import dataclasses

from tfx.types import BaseChannel

from components.bulk_predictor import BulkPredictor
from components.pusher import Pusher
from pipeline.configs import PipelineConfig
from pipeline.stages import stage


@dataclasses.dataclass(frozen=True)
class DeliveryStage(stage.Stage):
    """The components that hand a model over, or use it."""

    pusher: Pusher
    bulk_predictor: BulkPredictor | None


def create_delivery_stage(
    config: PipelineConfig,
    model: BaseChannel,
    model_blessing: BaseChannel,
    infra_blessing: BaseChannel,
    anomalies: BaseChannel,
    drift: BaseChannel,
    evaluation: BaseChannel,
    server_blessing: BaseChannel | None = None,
) -> DeliveryStage:
    """Pushes the model to the serving folder, and classifies the images of `config.predict`.

    Args:
        config: the run.
        model: a channel of the trained Model.
        model_blessing: the Evaluator's verdict on it.
        infra_blessing: the ModelChecker's verdict on it.
        anomalies: what the ExampleValidator found in the data.
        drift: what the DriftValidator found in them.
        evaluation: the Evaluator's metrics; they decide where `config.min_accuracy` is not given.
        server_blessing: the InfraValidator's verdict on the model; None where it is off.
    """
    pusher = Pusher(
        model=model,
        model_blessing=model_blessing,
        infra_blessing=infra_blessing,
        anomalies=anomalies,
        drift=drift,
        server_blessing=server_blessing,
        evaluation=evaluation if config.min_accuracy is None else None,
        push_destination=config.serving_path,
        fingerprint=config.fingerprints.pusher,
    )
    bulk_predictor = None
    if config.predict:
        bulk_predictor = BulkPredictor(
            source=config.predict,
            model=model,
            model_blessing=model_blessing,
            infra_blessing=infra_blessing,
            data_dir=config.data_dir,
            fingerprint=config.fingerprints.bulk_predictor,
        )
    return DeliveryStage(pusher=pusher, bulk_predictor=bulk_predictor)
