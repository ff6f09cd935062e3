# SPDX-License-Identifier: Apache-2.0
"""The model of an earlier run: the baseline, and where a warm start begins."""

from __future__ import annotations

from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
    LatestBlessedModelStrategy,
)
from tfx.types import BaseChannel, Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

from components.baseline import BLESSING, CANDIDATE, MODEL, LatestOtherBlessedModel
from components.last_pushed_model import LastPushedModel
from pipeline.configs import FILES, PipelineConfig

BASE_MODEL_RESOLVER = "BaseModelResolver"


def create_base_model_resolver() -> Resolver:
    """Returns the step that finds where a warm start begins.

    Its output "model" is empty where no model was blessed yet.
    """
    resolver = Resolver(strategy_class=LatestBlessedModelStrategy, **_all_models())
    return resolver.with_id(BASE_MODEL_RESOLVER)


def create_baseline_resolver(model: BaseChannel) -> Resolver:
    """Returns the step that finds the baseline of a model, the newest blessed one but itself.

    Its output "model" is empty where no other model was blessed yet.

    Args:
        model: a channel of the trained Model.
    """
    channels = {**_all_models(), CANDIDATE: model}
    return Resolver(strategy_class=LatestOtherBlessedModel, **channels).with_id("Resolver")


def _all_models() -> dict[str, BaseChannel]:
    return {MODEL: Channel(type=Model), BLESSING: Channel(type=ModelBlessing)}


def create_last_pushed_model(config: PipelineConfig) -> LastPushedModel | None:
    """Returns the one step that takes the place of these Resolvers; None where they can be used."""
    if config.history != FILES:
        return None
    return LastPushedModel(push_destination=config.serving_path)
