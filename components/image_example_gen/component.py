# SPDX-License-Identifier: Apache-2.0
"""The contract of ImageExampleGen: its parameters and its output."""

from __future__ import annotations

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.dsl.placeholder.placeholder import Placeholder
from tfx.types import channel_utils, component_spec, standard_artifacts

from components.image_example_gen.executor import Executor


class ImageExampleGenSpec(component_spec.ComponentSpec):
    """Parameters and outputs of ImageExampleGen."""

    PARAMETERS = {
        "source": component_spec.ExecutionParameter(type=str),
        "data_dir": component_spec.ExecutionParameter(type=str, optional=True),
        "exclude": component_spec.ExecutionParameter(type=str, optional=True),
        "fingerprint": component_spec.ExecutionParameter(type=str, optional=True),
        "data_fingerprint": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {}
    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class ImageExampleGen(base_beam_component.BaseBeamComponent):
    """Turns a source of images into Examples, with the splits train, eval and test.

    An Example holds the encoded bytes as they were found, label, class name, source path or id,
    width and height; nothing is decoded. Images that cannot be read are kept with the reason, for
    the Preprocessor to quarantine. `dataset.json` in the same folder names and counts the classes.

    ```
    images = ImageExampleGen(source="folder:/data/pets")
    statistics = StatisticsGen(examples=images.outputs["examples"])
    ```
    """

    SPEC_CLASS = ImageExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        source: str,
        data_dir: str | None = None,
        exclude: str | None = None,
        fingerprint: str | None = None,
        data_fingerprint: Placeholder | None = None,
    ):
        """Makes the component.

        Args:
            source: "digits", "tfds:NAME[:CONFIG]", "folder:PATH", "tfrecord:GLOB" or "csv:PATH".
            data_dir: the folder of prepared TFDS datasets; None for the default of TFDS.
            exclude: a file of images that are left out of every split; see
                `mixer_tf.datasets.excluded_images`. None for none.
            fingerprint: the state of data and code; the cached output is used while it is equal.
            data_fingerprint: the state of the data, where another step finds it.
        """
        examples = channel_utils.as_channel([standard_artifacts.Examples()])
        super().__init__(
            ImageExampleGenSpec(
                source=source,
                data_dir=data_dir,
                exclude=exclude,
                fingerprint=fingerprint,
                data_fingerprint=data_fingerprint,
                examples=examples,
            )
        )
