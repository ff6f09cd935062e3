# SPDX-License-Identifier: Apache-2.0
"""The requests that start a run on a server of Kubeflow Pipelines, v1 and v2."""

from __future__ import annotations

import json
import os

from pipeline.remote.compiled import Compiled, Run

TOKEN = "KFP_TOKEN"
_SECONDS = 60


def make_request(compiled: Compiled, run: Run, host: str) -> dict:
    """Returns the request to the server: method, URL and body."""
    body = _v1_body(compiled, run) if compiled.target == "kfp-v1" else _v2_body(compiled, run)
    version = {"kfp-v1": "v1beta1", "kfp-v2": "v2beta1"}[compiled.target]
    return {"method": "POST", "url": f"{host.rstrip('/')}/apis/{version}/runs", "body": body}


def _v1_body(compiled: Compiled, run: Run) -> dict:
    body = {
        "name": run.name,
        "pipeline_spec": {
            "workflow_manifest": json.dumps(compiled.document),
            "parameters": [{"name": name, "value": value} for name, value in run.values.items()],
        },
    }
    if run.experiment:
        key = {"type": "EXPERIMENT", "id": run.experiment}
        body["resource_references"] = [{"key": key, "relationship": "OWNER"}]
    return body | ({"service_account": run.service_account} if run.service_account else {})


def _v2_body(compiled: Compiled, run: Run) -> dict:
    spec = compiled.document
    if compiled.platform:
        spec = {"pipeline_spec": spec, "platform_spec": compiled.platform}
    body = {
        "display_name": run.name,
        "pipeline_spec": spec,
        "runtime_config": {"parameters": dict(run.values), "pipeline_root": run.root},
    }
    optional = {"experiment_id": run.experiment, "service_account": run.service_account}
    return body | {name: value for name, value in optional.items() if value}


def send(request: dict) -> str:
    """Sends the request, and returns the id of the run, or of the recurring run.

    Raises:
        OSError: the server cannot be reached, refuses the run, or is not one of Kubeflow Pipelines.
    """
    import requests

    token = os.environ.get(TOKEN)
    response = requests.request(
        request["method"],
        request["url"],
        json=request["body"],
        headers={"Authorization": f"Bearer {token}"} if token else {},
        timeout=_SECONDS,
        allow_redirects=False,  # requests would turn POST into GET, which lists runs
    )
    if response.is_redirect:
        raise OSError(
            f"{request['url']} redirects to {response.headers['Location']}; use that host for "
            f"--host, or log in and give a bearer token in {TOKEN}."
        )
    if not response.ok:
        raise OSError(
            f"{request['url']} answered {response.status_code}: {response.text.strip()[:500]}"
        )
    return _read_id(response)


def _read_id(response) -> str:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    created = answer.get("run", answer) if isinstance(answer, dict) else None
    if isinstance(created, dict):
        for name in ("run_id", "recurring_run_id", "id"):
            if created.get(name):
                return created[name]
    raise OSError(
        f"{response.url} must answer with the id of what it started; it answered "
        f"{response.text.strip()[:200]!r}. Is it the address of Kubeflow Pipelines?"
    )
