# SPDX-License-Identifier: Apache-2.0
"""The driver of DataFingerprint: puts the state of the data into the cache key of the step itself.

TFX's own launcher (Kubeflow Pipelines v1, local runs) has the id of an input in the cache key of a
step. With the driver, unchanged data are the same artifact as before, and all later steps are
cached. Kubeflow Pipelines v2 and Vertex run no drivers, and have the value in the cache key.
"""

from __future__ import annotations

from tfx.dsl.components.base import base_driver
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2

from components.data_fingerprint import state

STATE = "state"


class Driver(base_driver.BaseDriver, portable_base_driver.BaseDriver):
    """Adds the state of the data to the execution properties, before the cache is asked."""

    def __init__(self, metadata_handle: metadata.Metadata):
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Opens the sources.

        Raises:
            ValueError: a source cannot be opened.
        """
        properties = {
            **execution_info.exec_properties,
            STATE: state.digest(execution_info.exec_properties),
        }
        result = driver_output_pb2.DriverOutput()
        for name, value in properties.items():
            if value is not None:
                data_types_utils.set_metadata_value(result.exec_properties[name], value)
        return result
