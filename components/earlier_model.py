# SPDX-License-Identifier: Apache-2.0
"""A model of an earlier run as the input of a step: there may be none yet.

A Resolver then gives no artifact. A step of Kubeflow Pipelines v2 and Vertex AI cannot leave its
output out, so that LastPushedModel marks an artifact without content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfx.types import Artifact

FOUND = "found"  # 0: the artifact has no content


def without_missing(artifacts: Mapping[str, Sequence[Artifact]]) -> dict[str, list[Artifact]]:
    """Returns the inputs of a step as a Resolver would give them: without marked artifacts."""
    return {
        name: [each for each in found if not _is_missing(each)] for name, found in artifacts.items()
    }


def _is_missing(artifact: Artifact) -> bool:
    return artifact.has_custom_property(FOUND) and not artifact.get_int_custom_property(FOUND)
