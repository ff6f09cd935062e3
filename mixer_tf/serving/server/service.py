# SPDX-License-Identifier: Apache-2.0
"""What the server answers, without a transport: REST and gRPC only translate."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from mixer_tf.serving import contract, statuses
from mixer_tf.serving.server import servable
from mixer_tf.serving.server.batching import Batcher
from mixer_tf.serving.server.models import Model, VersionStatus
from mixer_tf.serving.server.servable import Servable
from mixer_tf.serving.statuses import ServingError

_PREDICT_METHOD = "tensorflow/serving/predict"
_CLASSIFY_INPUT, _CLASSES, _SCORES = "inputs", "classes", "scores"


@dataclasses.dataclass(frozen=True)
class Target:
    """The model that a request names.

    Attributes:
        name: name of the model.
        version: None for the newest.
        label: label of a version; "" for none.
    """

    name: str
    version: int | None = None
    label: str = ""


class Service:
    """Answers requests for one model; threads may share it."""

    def __init__(self, model: Model, batcher: Batcher):
        self.model, self._batcher = model, batcher

    def find(self, target: Target) -> Servable:
        """Returns the version that a request names.

        Raises:
            ServingError: it is not served.
        """
        if target.name != self.model.name:
            version = "Latest" if target.version is None else "Specific"
            detail = target.name if target.version is None else f"{target.name}, {target.version}"
            raise ServingError(
                statuses.NOT_FOUND,
                f"Servable not found for request: {version}({detail}); this server has the model "
                f"{self.model.name}.",
            )
        return self.model.current(target.version, target.label)

    def predict(
        self,
        found: Servable,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        output_filter: Sequence[str] = (),
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature, or those of them that `output_filter` names.

        Raises:
            ServingError: the request is wrong, or the model refused it.
        """
        signature = signature or contract.SERVING_SIGNATURE
        size = found.check(signature, inputs)
        shapes = tuple(sorted((name, value.shape[1:]) for name, value in inputs.items()))
        can_join = size > 0 and all(value.ndim for value in inputs.values())
        # A version in the key: calls of two versions are never joined.
        key = (found.version, signature, shapes) if can_join else object()
        outputs = self._batcher.run(
            key, inputs, size, lambda joined: found.predict(signature, joined)
        )
        return servable.select(outputs, output_filter)

    def classify(
        self, found: Servable, signature: str, examples: Sequence[bytes]
    ) -> list[list[tuple[str, float]]]:
        """Returns (label, score) of each class of each example; "" or 0 where there is none.

        Raises:
            ServingError: the signature is not made for this method, as none of those that mixer_tf
                exports, or the request is wrong.
        """
        signature = signature or contract.SERVING_SIGNATURE
        method = self._method(found, signature)
        if method != servable.CLASSIFY_METHOD:
            raise ServingError(
                statuses.INVALID_ARGUMENT,
                f"Expected classification signature method_name to be {servable.CLASSIFY_METHOD}. "
                f"Was: {method}. Use predict for the signature {signature}.",
            )
        inputs = {_CLASSIFY_INPUT: np.array([*examples], object)}
        outputs = self.predict(found, signature, inputs)
        return _label_scores(outputs)

    def status(self, target: Target) -> dict[int, VersionStatus]:
        """Returns version -> status.

        Raises:
            ServingError: the model or the version is not known.
        """
        if target.name != self.model.name:
            text = f"Could not find any versions of model {target.name}"
            raise ServingError(statuses.NOT_FOUND, text)
        return self.model.status(target.version)

    def _method(self, found: Servable, signature: str) -> str:
        found.input_specs(signature)
        return found.signature_defs[signature].method_name or _PREDICT_METHOD


def _label_scores(outputs: Mapping[str, np.ndarray]) -> list[list[tuple[str, float]]]:
    labels, scores = outputs.get(_CLASSES), outputs.get(_SCORES)
    shape = np.shape(scores if labels is None else labels)
    names = np.full(shape, b"", object) if labels is None else labels
    numbers = np.zeros(shape, np.float32) if scores is None else scores
    return [
        [
            (label.decode("utf-8", "replace"), float(str(score)))
            for label, score in zip(*pair, strict=True)
        ]
        for pair in zip(names, numbers, strict=True)
    ]
