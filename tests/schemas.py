# SPDX-License-Identifier: Apache-2.0
"""Documents against published schemas, which make_schemas.py makes; unknown fields are errors."""

from __future__ import annotations

import functools
import json
import os
import pathlib

import jsonschema
import pytest

_FOLDER = os.environ.get("MIXER_TF_SCHEMAS", "")

needs_schemas = pytest.mark.skipif(
    not _FOLDER, reason="needs MIXER_TF_SCHEMAS, the folder of tests/make_schemas.py"
)


def require_valid(document: dict, schema: str) -> None:
    """Checks a document.

    Args:
        document: a manifest.
        schema: "argo_workflow", "kserve_inference_service", or "kubernetes" for one of its kinds.

    Raises:
        jsonschema.ValidationError: a field that the schema lacks, or a value of another type.
    """
    found = _read(schema)
    if schema == "kubernetes":
        found = {**found, "$ref": f"#/definitions/{_definition(found, document)}"}
    jsonschema.Draft7Validator(found).validate(document)


def _definition(schema: dict, document: dict) -> str:
    """The name of the definition of a document's kind."""
    group, _, version = document["apiVersion"].rpartition("/")
    wanted = {"group": group, "version": version, "kind": document["kind"]}
    (name,) = [
        name
        for name, definition in schema["definitions"].items()
        if wanted in definition.get("x-kubernetes-group-version-kind", ())
    ]
    return name


@functools.cache
def _read(name: str) -> dict:
    text = pathlib.Path(_FOLDER, f"{name}.json").read_text()
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
