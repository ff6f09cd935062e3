# SPDX-License-Identifier: Apache-2.0
"""The contract of DataFingerprint: its parameters and its output."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel_utils, component_spec, standard_artifacts

from components.data_fingerprint.driver import Driver
from components.data_fingerprint.executor import Executor


class DataFingerprintSpec(component_spec.ComponentSpec):
    """Parameters and outputs of DataFingerprint."""

    PARAMETERS = {
        "source": component_spec.ExecutionParameter(type=str),
        "downstream_test_sets": component_spec.ExecutionParameter(type=str),
        "data_dir": component_spec.ExecutionParameter(type=str, optional=True),
        "keep_duplicates": component_spec.ExecutionParameter(type=str, optional=True),
        "exclude": component_spec.ExecutionParameter(type=str, optional=True),
        "weights": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {}
    OUTPUTS = {"fingerprint": component_spec.ChannelParameter(type=standard_artifacts.String)}


class DataFingerprint(base_component.BaseComponent):
    """Finds the state of the data: names, sizes and times of the files of sources and weights.

    A pipeline that is compiled for a cluster cannot know it. As a parameter of the steps that read
    a source, it makes them run again when the data changed, and only then. Kubeflow Pipelines v2
    and Vertex must not cache this step itself.

    ```
    state = DataFingerprint(source="folder:gs://bucket/pets")
    images = ImageExampleGen(
        source="folder:gs://bucket/pets",
        data_fingerprint=state.outputs["fingerprint"].future()[0].value,
    )
    ```
    """

    SPEC_CLASS = DataFingerprintSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(
        self,
        source: str,
        downstream_test_sets: Sequence[str] = (),
        data_dir: str | None = None,
        keep_duplicates: str | None = None,
        exclude: str | None = None,
        weights: str | None = None,
    ):
        """Makes the component.

        Args:
            source: the source of the images, such as "folder:PATH".
            downstream_test_sets: further sources.
            data_dir: the folder of prepared TFDS datasets; None for the default of TFDS.
            keep_duplicates: the file of images that are never removed as duplicates; None for none.
            exclude: the file of images that are left out of the source; None for none.
            weights: initial weights of the model, as in a recipe; None for random ones.
        """
        super().__init__(
            DataFingerprintSpec(
                source=source,
                downstream_test_sets=json.dumps(list(downstream_test_sets)),
                data_dir=data_dir,
                keep_duplicates=keep_duplicates,
                exclude=exclude,
                weights=weights,
                fingerprint=channel_utils.as_channel([standard_artifacts.String()]),
            )
        )
