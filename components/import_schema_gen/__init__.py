# SPDX-License-Identifier: Apache-2.0
"""ImportSchemaGen: the schema of the examples, from a file of the project."""

from components.import_schema_gen.component import ImportSchemaGen

__all__ = ["ImportSchemaGen"]
