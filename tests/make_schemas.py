# SPDX-License-Identifier: Apache-2.0
"""Makes the schemas for the tests from those of Argo Workflows, KServe and Kubernetes.

    python tests/make_schemas.py FOLDER ARGO_WORKFLOWS KSERVE KUBERNETES_CLIENT
    MIXER_TF_SCHEMAS=FOLDER python -m pytest tests/deploy tests/pipeline/test_kubeflow_runner.py

The last three arguments are clones of github.com/argoproj/argo-workflows (v4.1.2),
github.com/kserve/kserve (v0.20.0) and github.com/kubernetes-client/python (v36.0.3, of Kubernetes
1.36), which are not part of this project. Kept is what our kinds use, without the descriptions.
"""

import json
import pathlib
import sys

import yaml

DEFINITIONS = "#/definitions/"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
KINDS = [
    *("apps.v1.Deployment", "autoscaling.v2.HorizontalPodAutoscaler", "core.v1.ConfigMap"),
    *("core.v1.PersistentVolumeClaim", "core.v1.Service", "policy.v1.PodDisruptionBudget"),
]


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


def with_references(definitions: dict, *names: str) -> dict:
    """A schema of the first definition, with the others and all that they use."""
    # A port, or the limit of a retry: Kubernetes takes both, and these schemas say "string".
    definitions[INT_OR_STRING]["type"] = ["integer", "string"]
    found, waiting = {}, {*names}
    while waiting:
        each = waiting.pop()
        found[each] = definitions[each]
        waiting |= references(definitions[each]) - found.keys()
    return {"$ref": DEFINITIONS + names[0], "definitions": found}


def main(folder: str, argo: str, kserve: str, client: str) -> None:
    def write(name: str, schema: dict) -> None:
        text = json.dumps(without_descriptions(schema), indent=1)
        pathlib.Path(folder, f"{name}.json").write_text(text)

    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    schema = json.loads(pathlib.Path(argo, "api/jsonschema/schema.json").read_text())
    workflow = "io.argoproj.workflow.v1alpha1.Workflow"
    write("argo_workflow", with_references(schema["definitions"], workflow))
    crd = pathlib.Path(kserve, "config/crd/full/serving.kserve.io_inferenceservices.yaml")
    (version,) = [
        each
        for each in yaml.safe_load(crd.read_text())["spec"]["versions"]
        if each["name"] == "v1beta1"
    ]
    write("kserve_inference_service", version["schema"]["openAPIV3Schema"])
    swagger = json.loads(pathlib.Path(client, "kubernetes/swagger.json.unprocessed").read_text())
    names = [f"io.k8s.api.{kind}" for kind in KINDS]
    write("kubernetes", with_references(swagger["definitions"], *names))


if __name__ == "__main__":
    main(*sys.argv[1:])
