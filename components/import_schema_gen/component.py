# SPDX-License-Identifier: Apache-2.0
"""TFX's ImportSchemaGen with a fingerprint, because TFX caches it by the path of the file alone."""

from __future__ import annotations

from tfx.components.schema_gen.import_schema_gen.executor import Executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel_utils, component_spec, standard_artifacts


class ImportSchemaGenSpec(component_spec.ComponentSpec):
    """Parameters and outputs of ImportSchemaGen."""

    PARAMETERS = {
        "schema_file": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {}
    OUTPUTS = {"schema": component_spec.ChannelParameter(type=standard_artifacts.Schema)}


class ImportSchemaGen(base_component.BaseComponent):
    """Copies a schema file into the pipeline, again each time that its fingerprint changes.

    ```
    schema = ImportSchemaGen(schema_file="schema.pbtxt", fingerprint=digest)
    validator = ExampleValidator(statistics=..., schema=schema.outputs["schema"])
    ```
    """

    SPEC_CLASS = ImportSchemaGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, schema_file: str, fingerprint: str | None = None):
        """Makes the component.

        Args:
            schema_file: path of a tensorflow_metadata Schema in text format.
            fingerprint: the state of the file; the cached output is used while it is equal.
        """
        super().__init__(
            ImportSchemaGenSpec(
                schema_file=schema_file,
                fingerprint=fingerprint,
                schema=channel_utils.as_channel([standard_artifacts.Schema()]),
            )
        )
