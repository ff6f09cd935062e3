# SPDX-License-Identifier: Apache-2.0
"""Where a pushed model comes from: `assets.extra/lineage.json` of each version. No TensorFlow."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping

from mixer_tf import storage
from mixer_tf.serving import contract


@dataclasses.dataclass(frozen=True)
class Lineage:
    """The history of a version; nothing in it is secret.

    Attributes:
        code_version: version of mixer_tf.
        pushed_at: time of the push, in ISO 8601 and UTC.
        pipeline: name of the pipeline.
        recipe: name of the recipe; `recipe.json` beside the file has all its fields.
        source: specification of the source, without credentials.
        images: split → number of images after the deduplication.
        fingerprints: step → the state of its code and its data; equal ones mean equal results. On a
            cluster, "data" is the state of the data, and those of the steps are of code alone.
        options: options of the pipeline that shape the data and the gates.
        evaluation: metric of the Evaluator → value on the test split.
        metadata: ids in ML Metadata: "execution" of the push, and of each input artifact by name;
            none where the orchestrator does not tell them (Kubeflow Pipelines v2 and Vertex AI).
    """

    code_version: str
    pushed_at: str
    pipeline: str = ""
    recipe: str = ""
    source: str = ""
    images: Mapping[str, int] = dataclasses.field(default_factory=dict)
    fingerprints: Mapping[str, str] = dataclasses.field(default_factory=dict)
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)
    evaluation: Mapping[str, float] = dataclasses.field(default_factory=dict)
    metadata: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Lineage:
        """Fields of a later version of mixer_tf are left out."""
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in json.loads(text).items() if name in known})


def path(model: str) -> str:
    """Returns where the file of a version is."""
    return os.path.join(model, contract.EXTRA_ASSETS, contract.LINEAGE_FILE)


def card_path(model: str) -> str:
    """Returns where the card of a version is, a text for people."""
    return os.path.join(model, contract.EXTRA_ASSETS, contract.MODEL_CARD_FILE)


def read(model: str) -> Lineage | None:
    """Returns the history of a version; None if it was not pushed by the pipeline."""
    return (
        Lineage.from_json(storage.read_text(path(model))) if storage.exists(path(model)) else None
    )
