# SPDX-License-Identifier: Apache-2.0
"""The lineage of a model, from the inputs of the Pusher and what the pipeline says of itself."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tfx.types import Artifact

from components.evaluations import read_metrics
from components.model_facts import collect_model
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.reports import model_card
from mixer_tf.reports.facts import PIPELINE, RunFacts
from mixer_tf.serving.lineage import Lineage
from mixer_tf.version import __version__


def describe(
    artifacts: Mapping[str, Sequence[Artifact]], properties: Mapping[str, Any], context
) -> Lineage:
    """Returns the lineage of the model that is about to be pushed.

    Args:
        artifacts: the inputs of the Pusher by name.
        properties: its execution properties; "lineage" holds fields of `Lineage` as JSON.
        context: context of the executor; None where it runs without an orchestrator.
    """
    known = json.loads(properties.get("lineage") or "{}")
    if properties.get("data_fingerprint"):
        fingerprints = {**known.get("fingerprints", {}), "data": properties["data_fingerprint"]}
        known = {**known, "fingerprints": fingerprints}
    return Lineage(
        code_version=__version__,
        pushed_at=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        **_data(artifacts.get("examples", ())),
        evaluation=next((read_metrics(each.uri) for each in artifacts.get("evaluation", ())), {}),
        metadata=_metadata_ids(artifacts, context),
        **known,
    )


def _metadata_ids(artifacts: Mapping[str, Sequence[Artifact]], context) -> dict[str, int]:
    """Returns the ids in ML Metadata; none on Kubeflow v2 and Vertex AI, which do not tell them.

    TFX gives the artifacts hashes of their names there, and the execution no number.
    """
    execution = getattr(context, "_unique_id", None)  # TFX makes it public in a path only
    if not str(execution).isdecimal():
        return {}
    ids = {name: found[0].id for name, found in artifacts.items() if found and found[0].id}
    return {**ids, "execution": int(execution)}


def make_card(artifacts: Mapping[str, Sequence[Artifact]], lineage: Lineage) -> str:
    """Returns the card of the model that is about to be pushed.

    Args:
        artifacts: the inputs of the Pusher by name.
        lineage: see `describe`.
    """
    run = RunFacts(PIPELINE, lineage.pipeline or "model", root="")
    return model_card.render(collect_model(run, artifacts))


def _data(examples: Sequence[Artifact]) -> dict[str, Any]:
    if not examples:
        return {}
    info = DatasetInfo.read(examples[0].uri)
    return {"source": info.source, "images": info.examples}
