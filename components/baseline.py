# SPDX-License-Identifier: Apache-2.0
"""Which earlier model the Evaluator compares a model with."""

from __future__ import annotations

import ml_metadata as mlmd
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
    LatestBlessedModelStrategy,
)
from tfx.types import Artifact

MODEL, BLESSING, CANDIDATE = "model", "model_blessing", "candidate"


class LatestOtherBlessedModel(ResolverStrategy):
    """Finds the newest blessed model but the candidate, with TFX's LatestBlessedModelStrategy.

    A model from the cache may be the newest blessed one. Compared with itself, any model passes,
    and the comparison would be another one than in the run before. So a repeated run has the same
    baseline, as long as no other model was blessed since, and its evaluation comes from the cache.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[Artifact]]
    ) -> dict[str, list[Artifact]]:
        """Returns the model and its blessing, empty lists if there is none, and the candidate.

        Args:
            store: the metadata of all runs.
            input_dict: "candidate": the model of this run; "model" and "model_blessing": those of
                all runs.
        """
        candidates = {model.id for model in input_dict[CANDIDATE]}
        others = [model for model in input_dict[MODEL] if model.id not in candidates]
        found = LatestBlessedModelStrategy().resolve_artifacts(
            store, {MODEL: others, BLESSING: input_dict[BLESSING]}
        )
        return {**found, CANDIDATE: input_dict[CANDIDATE]}
