# SPDX-License-Identifier: Apache-2.0
"""Documents against the published schemas in golden/schemas; a field that they lack is an error."""

from __future__ import annotations

import functools
import gzip
import json
import pathlib

import jsonschema

_FOLDER = pathlib.Path(__file__).parent / "golden" / "schemas"


def require_valid(document: dict, schema: str) -> None:
    """Checks a document.

    Args:
        document: a manifest.
        schema: "argo_workflow" or "kserve_inference_service".

    Raises:
        jsonschema.ValidationError: a field that the schema lacks, or a value of another type.
    """
    jsonschema.Draft7Validator(_read(schema)).validate(document)


@functools.cache
def _read(name: str) -> dict:
    text = gzip.decompress((_FOLDER / f"{name}.json.gz").read_bytes())
    return _without_unknown_fields(json.loads(text))


def _without_unknown_fields(schema: object) -> object:
    """The same schema; an object that lists its fields has no others."""
    if isinstance(schema, list):
        return [*map(_without_unknown_fields, schema)]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _without_unknown_fields(value) for key, value in schema.items()}
    # A field may be called "properties": then it is a schema, which has a type.
    lists = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if lists and not schema.get("x-kubernetes-preserve-unknown-fields"):
        strict.setdefault("additionalProperties", False)
    return strict
