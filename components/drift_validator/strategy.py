# SPDX-License-Identifier: Apache-2.0
"""How the last accepted data are found; the first run has none."""

from __future__ import annotations

import ml_metadata as mlmd
from tfx.dsl.input_resolution.strategies.latest_artifact_strategy import LatestArtifactStrategy
from tfx.types import Artifact


class LatestOrNoArtifactStrategy(LatestArtifactStrategy):
    """Resolves the latest artifact of each channel, or none.

    Where there is none, TFX's own strategy fails its step, and no partial run can follow.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[Artifact]]
    ) -> dict[str, list[Artifact]]:
        """Returns the latest artifact of each channel in a list, or an empty list."""
        found = super().resolve_artifacts(store, input_dict)
        return found or {name: [] for name in input_dict}
