# SPDX-License-Identifier: Apache-2.0
"""The options that only Vertex AI has: worker pools and an endpoint. Imports no library."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from components.endpoint_deployer.deployment import Deployment
from mixer_tf.messages import did_you_mean

TARGET = "vertex"
_ALONE = ("project", "region", "machine_type", "service_account", "endpoint", "serving")
_NAMED_ELSEWHERE = ("project", "region", "endpoint", "model_name", "traffic")


def machines(options: Mapping[str, object]) -> dict[str, object] | None:
    """Returns the arguments of WorkerPools, or None to train in the container of the Trainer.

    Args:
        options: the keyword arguments of the command.

    Raises:
        ValueError: an option for another target, or one that is missing.
    """
    given = [name for name in _ALONE if options[name]]
    if given and options["target"] != TARGET:
        raise ValueError(
            f"{', '.join(map(_flag, given))} must be given with --target=vertex only; got "
            f"--target={options['target']}."
        )
    if not options["machine_type"]:
        if options["workers"] > 1 or options["service_account"]:
            raise ValueError("--workers and --service-account require --machine-type.")
        return None
    _require(options, "--machine-type")
    return {
        "project": options["project"],
        "region": options["region"],
        "machine_type": options["machine_type"],
        "workers": options["workers"],
        "service_account": options["service_account"] or "",
    }


def deployment(options: Mapping[str, object], name: str) -> Deployment | None:
    """Returns where models are served, or None without an endpoint.

    Args:
        options: the keyword arguments of the command.
        name: name of the pipeline, and of the model in the registry.

    Raises:
        ValueError: an option that is missing, or a bad value.
    """
    if not options["endpoint"]:
        if options["serving"] or options["traffic"] != 100:
            raise ValueError("--serving and --traffic require --endpoint.")
        return None
    _require(options, "--endpoint")
    return Deployment(
        project=options["project"],
        region=options["region"],
        endpoint=options["endpoint"],
        model_name=name,
        traffic=options["traffic"],
        **dict(_serving(text) for text in options["serving"]),
    )


def _serving(text: str) -> tuple[str, object]:
    known = {
        field.name: int if field.type == "int" else str
        for field in dataclasses.fields(Deployment)
        if field.name not in _NAMED_ELSEWHERE
    }
    name, equals, value = text.partition("=")
    if not equals or name not in known:
        hint = did_you_mean(name, known, most=1)
        raise ValueError(
            f"--serving must be FIELD=VALUE; got {text!r}.{hint} Fields: {', '.join(known)}."
        )
    try:
        return name, known[name](value)
    except ValueError:
        raise ValueError(f"--serving {name} must be an integer; got {value!r}.") from None


def _require(options: Mapping[str, object], reason: str) -> None:
    if not (options["project"] and options["region"]):
        raise ValueError(f"{reason} requires --project and --region.")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
