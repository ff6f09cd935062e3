# SPDX-License-Identifier: Apache-2.0
"""The artifact types that TFX does not have: reports that a person reads."""

from tfx.types.artifact import Artifact


class DeduplicationReport(Artifact):
    """`report.json` (counts for each test set) and `pairs.jsonl` (one removal a line)."""

    TYPE_NAME = "DeduplicationReport"


class QuarantineReport(Artifact):
    """`quarantine.jsonl`: one image a line that could not be used, with the reason."""

    TYPE_NAME = "QuarantineReport"
