# SPDX-License-Identifier: Apache-2.0
"""Makes the schemas in this folder from those that Argo Workflows and KServe publish.

    python make_schemas.py ARGO_WORKFLOWS KSERVE

The arguments are clones of github.com/argoproj/argo-workflows (v4.1.2) and
github.com/kserve/kserve (v0.20.0), both under the Apache License 2.0. Kept is what the kinds
Workflow and InferenceService use, without the descriptions.
"""

import gzip
import json
import pathlib
import sys

import yaml

FOLDER = pathlib.Path(__file__).parent
DEFINITIONS = "#/definitions/"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"


def without_descriptions(schema: object) -> object:
    """A property may have that name; its value is then a schema, not a string."""
    if isinstance(schema, list):
        return [*map(without_descriptions, schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: without_descriptions(value)
        for key, value in schema.items()
        if not (key in ("description", "title") and isinstance(value, str))
    }


def references(schema: object) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(references, schema))
    if not isinstance(schema, dict):
        return set()
    own = {schema["$ref"].removeprefix(DEFINITIONS)} if "$ref" in schema else set()
    return own.union(*map(references, schema.values()))


def with_references(definitions: dict, name: str) -> dict:
    """A schema of one definition and of all that it uses."""
    found, waiting = {}, {name}
    while waiting:
        each = waiting.pop()
        found[each] = definitions[each]
        waiting |= references(definitions[each]) - found.keys()
    return {"$ref": DEFINITIONS + name, "definitions": found}


def write(name: str, schema: dict) -> None:
    text = json.dumps(without_descriptions(schema), sort_keys=True, separators=(",", ":"))
    (FOLDER / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def main(argo: str, kserve: str) -> None:
    schema = json.loads(pathlib.Path(argo, "api/jsonschema/schema.json").read_text())
    # A port, or the limit of a retry: Kubernetes takes both, and this schema says "string".
    schema["definitions"][INT_OR_STRING]["type"] = ["integer", "string"]
    workflow = "io.argoproj.workflow.v1alpha1.Workflow"
    write("argo_workflow", with_references(schema["definitions"], workflow))
    crd = pathlib.Path(kserve, "config/crd/full/serving.kserve.io_inferenceservices.yaml")
    (version,) = [
        each
        for each in yaml.safe_load(crd.read_text())["spec"]["versions"]
        if each["name"] == "v1beta1"
    ]
    write("kserve_inference_service", version["schema"]["openAPIV3Schema"])


if __name__ == "__main__":
    main(*sys.argv[1:])
