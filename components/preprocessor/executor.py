# SPDX-License-Identifier: Apache-2.0
"""The executor of Preprocessor: artifacts to paths, one PTransform, and a check of its result."""

from __future__ import annotations

import os
from typing import Any

from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import Artifact, artifact_utils

from components.preprocessor.transforms import Preprocess
from mixer_tf import storage
from mixer_tf.datasets import shards
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.quarantine import require_training_images
from mixer_tf.datasets.quarantine_limit import QuarantineLimit
from mixer_tf.datasets.validation import FILE_NAME


class Executor(base_beam_executor.BaseBeamExecutor):
    """Turns Examples as they were found into checked and shuffled Examples."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component.

        Raises:
            ValueError: none of the training images is usable, or too many images are not.
        """
        stated = exec_properties.get("max_quarantined")
        limit = QuarantineLimit.parse(stated) if stated else None
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        output = artifact_utils.get_single_instance(output_dict["preprocessed_examples"])
        quarantine = artifact_utils.get_single_instance(output_dict["quarantine"])
        output.split_names = examples.split_names
        examples_utils.set_payload_format(output, example_gen_pb2.FORMAT_TF_EXAMPLE)
        preprocess = Preprocess(
            examples.uri,
            artifact_utils.decode_split_names(examples.split_names),
            output.uri,
            quarantine.uri,
            train_shorter_side=exec_properties.get("train_shorter_side"),
            num_shards=exec_properties.get("num_shards"),
            seed=exec_properties.get("seed") or 0,
        )
        try:
            with self._make_beam_pipeline() as pipeline:
                _ = pipeline | "Preprocess" >> preprocess
        finally:
            storage.remove_folder(shards.work_folder(output.uri))
        info = DatasetInfo.read(output.uri)
        quarantine_file = os.path.join(quarantine.uri, FILE_NAME)
        require_training_images(info.source, info.examples, quarantine_file, is_kept=False)
        if limit:
            limit.require(quarantine_file, sum(info.examples.values()), is_kept=False)
