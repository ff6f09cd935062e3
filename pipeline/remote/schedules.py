# SPDX-License-Identifier: Apache-2.0
"""Cron expressions, and the requests that start runs of Kubeflow Pipelines again and again."""

from __future__ import annotations

import re
from collections.abc import Mapping

# One field of a cron expression, such as "*/15", "1-5" or "MON,THU".
_FIELD = re.compile(r"[\d*/,A-Za-z-]+")
_FIELDS = 5


def require_cron(text: str) -> str:
    """Returns a cron expression of five fields, with single spaces between them.

    Raises:
        ValueError: it is not one.
    """
    fields = text.split()
    if len(fields) != _FIELDS or not all(map(_FIELD.fullmatch, fields)):
        raise ValueError(
            "--schedule must be a cron expression of five fields: minute, hour, day of the month, "
            f"month, day of the week; got {text!r}. Every Monday at 3:00 UTC is '0 3 * * 1'."
        )
    return " ".join(fields)


def kfp_request(request: Mapping, target: str, cron: str) -> dict:
    """Returns the request for a recurring run instead of that for a single one.

    Runs never overlap, and missed ones are not made up for.

    Args:
        request: the result of `kfp_server.make_request`.
        target: "kfp-v1" or "kfp-v2".
        cron: a cron expression of five fields; Kubeflow's own has the seconds in front.
    """
    trigger = {"cron_schedule": {"cron": f"0 {cron}"}}
    added = {"max_concurrency": "1", "no_catchup": True, "trigger": trigger}
    added |= {"enabled": True} if target == "kfp-v1" else {"mode": "ENABLE"}
    resource = {"kfp-v1": "jobs", "kfp-v2": "recurringruns"}[target]
    url = f"{request['url'].removesuffix('/runs')}/{resource}"
    return {**request, "url": url, "body": {**request["body"], **added}}
