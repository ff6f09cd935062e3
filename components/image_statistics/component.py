# SPDX-License-Identifier: Apache-2.0
"""The contract of ImageStatistics: its parameters, input and output."""

from __future__ import annotations

import dataclasses
import json

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import BaseChannel, channel_utils, component_spec, standard_artifacts

from components.artifacts import ImageStatisticsReport
from components.image_statistics.executor import Executor
from mixer_tf.datasets.statistics_limits import StatisticsLimits


class ImageStatisticsSpec(component_spec.ComponentSpec):
    """Parameters, input and output of ImageStatistics."""

    PARAMETERS = {
        "limits": component_spec.ExecutionParameter(type=str, optional=True),
        "fingerprint": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"report": component_spec.ChannelParameter(type=ImageStatisticsReport)}


class ImageStatistics(base_beam_component.BaseBeamComponent):
    """Measures the images of every split and class, and finds anomalies.

    TFX's StatisticsGen sees the features of an Example, not its pixels. This component decodes each
    image once, at a reduced size, and measures sizes, aspect ratios, brightness, contrast, colors,
    formats, and the shares of grayscale and of nearly constant images. `statistics.json` has the
    numbers, `statistics.html` shows them on one page with plots and with the skew between training
    and the other splits. Anomalies, such as a test split that is darker than training, are notes of
    the run; they do not stop it.

    ```
    statistics = ImageStatistics(examples=images.outputs["examples"])
    ```
    """

    SPEC_CLASS = ImageStatisticsSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel,
        limits: StatisticsLimits | None = None,
        fingerprint: str | None = None,
    ):
        """Makes the component.

        Args:
            examples: a channel of Examples that ImageExampleGen or Deduplicator wrote.
            limits: thresholds of anomalies; None for the defaults.
            fingerprint: the state of the code; the cached output is used while it is equal.
        """
        super().__init__(
            ImageStatisticsSpec(
                examples=examples,
                limits=json.dumps(dataclasses.asdict(limits or StatisticsLimits())),
                fingerprint=fingerprint,
                report=channel_utils.as_channel([ImageStatisticsReport()]),
            )
        )
