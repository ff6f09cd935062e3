# SPDX-License-Identifier: Apache-2.0
"""The executor of ImageExampleGen: from execution properties to one PTransform."""

from __future__ import annotations

from typing import Any

from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import Artifact, artifact_utils

from components.image_example_gen.transforms import WriteExamples
from mixer_tf import storage
from mixer_tf.datasets import shards
from mixer_tf.datasets.excluded_images import exclude_listed
from mixer_tf.datasets.sources import opening
from mixer_tf.features import TRAIN


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads a source into an Examples artifact."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component.

        Raises:
            ValueError: the source cannot be opened or has no training images.
        """
        data_dir = exec_properties.get("data_dir") or None
        source = exclude_listed(
            opening.open_source(exec_properties["source"], data_dir),
            exec_properties.get("exclude") or None,
        )
        if TRAIN not in source.splits:
            splits = " and ".join(source.splits)
            raise ValueError(
                f"a source must have training images; {source.spec} has only {splits}. "
                f"Add images of the split {TRAIN}."
            )
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        examples.split_names = artifact_utils.encode_split_names(list(source.splits))
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        try:
            with self._make_beam_pipeline() as pipeline:
                _ = pipeline | "ReadAndWrite" >> WriteExamples(source, examples.uri)
        finally:
            storage.remove_folder(shards.work_folder(examples.uri))
