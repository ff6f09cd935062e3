# SPDX-License-Identifier: Apache-2.0
"""Artifact types that TFX does not have: reports for people to read.

Their names have a prefix because Kubeflow Pipelines v2 and Vertex require one.
"""

from tfx.types.artifact import Artifact


class DeduplicationReport(Artifact):
    """`report.json` (counts for each test set) and `pairs.jsonl` (one line for each removal)."""

    TYPE_NAME = "mixer_tf.DeduplicationReport"


class QuarantineReport(Artifact):
    """`quarantine.jsonl`: one line for each image that could not be used, with the reason."""

    TYPE_NAME = "mixer_tf.QuarantineReport"


class ReferenceStatistics(Artifact):
    """Statistics of the last accepted data, in `Split-<name>/FeatureStats.pb`."""

    TYPE_NAME = "mixer_tf.ReferenceStatistics"
