# SPDX-License-Identifier: Apache-2.0
"""The executor of Deduplicator: artifacts to paths, one PTransform, a check of the result."""

from __future__ import annotations

import json
import os
from typing import Any

from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import Artifact, artifact_utils

from components.deduplicator.transforms import Deduplicate
from mixer_tf import storage
from mixer_tf.datasets import shards
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources import opening
from mixer_tf.deduplication import kept_images
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.report import PAIRS, REPORT
from mixer_tf.features import EVAL, TRAIN


class Executor(base_beam_executor.BaseBeamExecutor):
    """Copies Examples without the images that are duplicates."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component.

        Raises:
            ValueError: a downstream test set cannot be opened, the list of images to keep cannot
                be read, or no training images, or no evaluation images, are left.
        """
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        output = artifact_utils.get_single_instance(output_dict["deduplicated_examples"])
        report = artifact_utils.get_single_instance(output_dict["report"])
        output.split_names = examples.split_names
        examples_utils.set_payload_format(output, example_gen_pb2.FORMAT_TF_EXAMPLE)
        deduplicate = Deduplicate(
            examples.uri,
            artifact_utils.decode_split_names(examples.split_names),
            output.uri,
            report.uri,
            downstream=[
                opening.open_source(spec, exec_properties.get("data_dir") or None)
                for spec in sorted(set(json.loads(exec_properties["downstream_test_sets"])))
            ],
            options=_options(exec_properties),
        )
        try:
            with self._make_beam_pipeline() as pipeline:
                _ = pipeline | "Deduplicate" >> deduplicate
        finally:
            storage.remove_folder(shards.work_folder(output.uri))
        info = DatasetInfo.read(output.uri)
        _require_training_images(info, report.uri)
        _require_evaluation_images(info, report.uri)


def _options(exec_properties: dict[str, Any]) -> DeduplicationOptions:
    """The options; parameters that are not set have their default."""
    given = {name: exec_properties.get(name) for name in ("threshold", "mode")}
    keep = exec_properties.get("keep_duplicates")
    return DeduplicationOptions(
        within_train=bool(exec_properties["within_train"]),
        keep=kept_images.read(keep) if keep else frozenset(),
        **{name: value for name, value in given.items() if value is not None},
    )


def _require_training_images(info: DatasetInfo, report_dir: str) -> None:
    if not info.examples.get(TRAIN):
        raise ValueError(
            f"at least one training image of {info.source} must not be a duplicate; all are, "
            f"{_example(report_dir, TRAIN)}. --deduplicate=report removes none and shows the pairs."
        )


def _require_evaluation_images(info: DatasetInfo, report_dir: str) -> None:
    summary = json.loads(storage.read_text(os.path.join(report_dir, REPORT)))
    removed = summary["evaluation"]["removed"]
    if removed and removed == summary["compared"][EVAL]:
        raise ValueError(
            f"at least one evaluation image of {info.source} must not be a duplicate of a test "
            f"image; all {removed:,} are, {_example(report_dir, EVAL)}. Use another evaluation "
            "split; --deduplicate=report removes none and shows the pairs."
        )


def _example(report_dir: str, split: str) -> str:
    """One of the removed images, because TFX removes the report of a step that fails."""
    with storage.open_existing(os.path.join(report_dir, PAIRS)) as lines:
        pairs = (json.loads(line) for line in lines if b'"kept_because": ""' in line)
        first = next(pair for pair in pairs if pair["set"] == split)
    return (
        f"such as {first['image']['source']}, a duplicate of {first['duplicate_of']['source']} in "
        f"'{first['duplicate_of']['set']}'"
    )
