# SPDX-License-Identifier: Apache-2.0
"""The model of an earlier run: the baseline, and where a warm start begins."""

from __future__ import annotations

from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
    LatestBlessedModelStrategy,
)
from tfx.types import Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

from components.last_pushed_model import LastPushedModel
from pipeline.configs import FILES, PipelineConfig


def create_resolver(node_id: str) -> Resolver:
    """Returns the step, whose output "model" is empty where no model was blessed yet.

    Args:
        node_id: name of the step.
    """
    return Resolver(
        strategy_class=LatestBlessedModelStrategy,
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
    ).with_id(node_id)


def create_last_pushed_model(config: PipelineConfig) -> LastPushedModel | None:
    """Returns the one step that takes the place of these Resolvers; None where they can be used."""
    if config.history != FILES:
        return None
    return LastPushedModel(push_destination=config.serving_path)
