# SPDX-License-Identifier: Apache-2.0
"""The contract of DriftValidator: its parameters, inputs and outputs."""

from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import BaseChannel, channel_utils, component_spec, standard_artifacts

from components.artifacts import ReferenceStatistics
from components.drift_validator.executor import Executor


class DriftValidatorSpec(component_spec.ComponentSpec):
    """Parameters, inputs and outputs of DriftValidator."""

    PARAMETERS = {
        "allow_drift": component_spec.ExecutionParameter(type=int, optional=True),
        "reference_dir": component_spec.ExecutionParameter(type=str, optional=True),
        "root": component_spec.ExecutionParameter(type=str, optional=True),
        "fingerprint": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
        "reference": component_spec.ChannelParameter(type=ReferenceStatistics, optional=True),
    }
    OUTPUTS = {
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "next_reference": component_spec.ChannelParameter(type=ReferenceStatistics),
    }


class DriftValidator(base_component.BaseComponent):
    """Finds the features whose distribution has moved away from that of the last accepted data.

    TFX's ExampleValidator cannot compare with an earlier run. This component does so by the
    `drift_comparator`s of the schema, split by split. A split with too few images is not judged:
    the custom property `note` of the anomalies says so.

    `next_reference` is what the next run compares with: the statistics of this run if there was
    no drift or it is allowed, else the reference of this run once more. So drifted data do not
    become the reference by being run a second time. With a `reference_dir` the same statistics are
    also kept there, for orchestrators that cannot look up artifacts of earlier runs; the step must
    then not be cached.

    ```
    reference = Resolver(
        strategy_class=LatestOrNoArtifactStrategy, reference=Channel(type=ReferenceStatistics)
    )
    drift = DriftValidator(
        statistics=statistics_gen.outputs["statistics"],
        schema=schema_gen.outputs["schema"],
        reference=reference.outputs["reference"],
    )
    pusher = Pusher(..., drift=drift.outputs["anomalies"])
    ```
    """

    SPEC_CLASS = DriftValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        statistics: BaseChannel,
        schema: BaseChannel,
        reference: BaseChannel | None = None,
        allow_drift: bool = False,
        reference_dir: str | None = None,
        root: str | None = None,
        fingerprint: str | None = None,
    ):
        """Makes the component.

        Args:
            statistics: a channel of ExampleStatistics of this run.
            schema: a channel of the Schema with its `drift_comparator`s.
            reference: a channel of the last `next_reference`; without any, there is no drift.
            allow_drift: whether drift is only noted, and the new data become the reference.
            reference_dir: the folder that keeps the last `next_reference`, instead of `reference`.
            root: the folder below which a relative `reference_dir` is stored.
            fingerprint: the state of the code; the cached output is used while it is equal.
        """
        super().__init__(
            DriftValidatorSpec(
                statistics=statistics,
                schema=schema,
                reference=reference,
                allow_drift=int(allow_drift),
                reference_dir=reference_dir,
                root=root,
                fingerprint=fingerprint,
                anomalies=channel_utils.as_channel([standard_artifacts.ExampleAnomalies()]),
                next_reference=channel_utils.as_channel([ReferenceStatistics()]),
            )
        )
