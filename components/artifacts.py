# SPDX-License-Identifier: Apache-2.0
"""The artifact types that TFX does not have: reports that a person reads.

Their names have a prefix because Kubeflow Pipelines v2 and Vertex ask for one.
"""

from tfx.types.artifact import Artifact


class DeduplicationReport(Artifact):
    """`report.json` (counts for each test set) and `pairs.jsonl` (one removal a line)."""

    TYPE_NAME = "mixer_tf.DeduplicationReport"


class QuarantineReport(Artifact):
    """`quarantine.jsonl`: one image a line that could not be used, with the reason."""

    TYPE_NAME = "mixer_tf.QuarantineReport"
