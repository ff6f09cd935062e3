# SPDX-License-Identifier: Apache-2.0
"""Artifact types that TFX does not have: reports for people to read.

Each name is the path by which Kubeflow Pipelines v2 and Vertex import the type in the container of
a step.
"""

from tfx.types.artifact import Artifact


class DeduplicationReport(Artifact):
    """`report.json` (counts for each test set) and `pairs.jsonl` (one line for each removal)."""

    TYPE_NAME = f"{__package__}.DeduplicationReport"


class FewShotReport(Artifact):
    """`fewshot.json`: the accuracies of few-shot linear probes of a model."""

    TYPE_NAME = f"{__package__}.FewShotReport"


class ImageStatisticsReport(Artifact):
    """`statistics.json` (the numbers) and `statistics.html` (the same with plots)."""

    TYPE_NAME = f"{__package__}.ImageStatisticsReport"


class PipelineReport(Artifact):
    """`report.html` (one page about a run) and `report.json` (the same facts as JSON)."""

    TYPE_NAME = f"{__package__}.PipelineReport"


class QuarantineReport(Artifact):
    """`quarantine.jsonl`: one line for each image that could not be used, with the reason."""

    TYPE_NAME = f"{__package__}.QuarantineReport"


class ReferenceStatistics(Artifact):
    """Statistics of the last accepted data, in `Split-<name>/FeatureStats.pb`."""

    TYPE_NAME = f"{__package__}.ReferenceStatistics"
