# SPDX-License-Identifier: Apache-2.0
"""Client for a model on TensorFlow Serving, or on `mixer serve`, by REST or gRPC.

The REST transport needs no TensorFlow. The gRPC messages are TensorFlow Serving's own.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mixer_tf.serving import contract, prediction
from mixer_tf.serving.prediction import Prediction
from mixer_tf.serving.statuses import (
    CANCELLED,
    FAILED_PRECONDITION,
    INVALID_ARGUMENT,
    ServingError,
)
from mixer_tf.serving.tensor_json import TensorSpec

_MAX_BACKOFF_SECONDS = 5.0


class Client:
    """One model on a model server.

    A call is repeated only if the server was not reachable or said that it is overloaded
    (UNAVAILABLE, or HTTP 429, 502 and 503), after a pause that doubles each time. A prediction
    changes nothing on the server, so that it may be repeated. A wrong request, an unknown model and
    a call that took too long are not repeated.

    Threads may share a client.

    Attributes:
        address: as given.
        model: name of the model on the server.
        version: number of the version; None for the newest.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        version: int | None = None,
        timeout: float = 60.0,
        retries: int = 3,
        backoff: float = 0.2,
    ):
        """Makes a client; it connects with the first call.

        Args:
            address: "localhost:8501" or "http://localhost:8501" for REST, with a path if the server
                is behind a proxy; "https://…"; "grpc://localhost:8500" for gRPC; "grpcs://…" for
                gRPC over TLS.
            model: name of the model on the server.
            version: number of the version; None for the newest.
            timeout: seconds for one call, with all its repetitions.
            retries: the number of repetitions; 0 for none.
            backoff: seconds before the first repetition.

        Raises:
            ValueError: the address is of another form, the name is empty, or a number is out of
                range.
        """
        if not model or timeout <= 0 or retries < 0 or backoff < 0:
            raise ValueError(
                "a client needs the name of a model, timeout > 0, retries >= 0 and backoff >= 0; "
                f"got {model!r}, {timeout}, {retries} and {backoff}."
            )
        self.address, self.model, self.version = address, model, version
        self._timeout, self._retries, self._backoff = timeout, retries, backoff
        self._transport = _open_transport(address, model, version)
        self._specs: dict[str, dict[str, TensorSpec]] = {}

    def classify(self, encoded: Sequence[bytes]) -> list[list[Prediction]]:
        """Returns the most probable classes of each image, in descending order.

        Args:
            encoded: images that passed `images.check`.

        Raises:
            ServingError: one of them is not an image; then no image has an answer, see
                `classify_each`. Or as `predict`.
        """
        outputs = self.predict({contract.IMAGE_BYTES: _strings(encoded)})
        if not {contract.CLASS_NAMES, contract.PROBABILITIES} <= outputs.keys():
            raise ServingError(
                FAILED_PRECONDITION,
                f"the model must return {contract.CLASS_NAMES} and {contract.PROBABILITIES}, as "
                f"those that mixer_tf exports; {self.model} returns {', '.join(sorted(outputs))}.",
            )
        return prediction.from_arrays(
            outputs[contract.CLASS_NAMES], outputs[contract.PROBABILITIES]
        )

    def classify_each(self, encoded: Sequence[bytes]) -> list[list[Prediction] | ServingError]:
        """Returns for each image its classes, or the error of that image alone.

        All images are sent in one request. If the server refuses it, each is sent alone.

        Raises:
            ServingError: as `predict`, but neither INVALID_ARGUMENT nor CANCELLED, as which
                TensorFlow Serving reports some corrupt images.
        """
        try:
            return list(self.classify(encoded))
        except ServingError as error:
            if error.code not in (INVALID_ARGUMENT, CANCELLED):
                raise
            if len(encoded) == 1:
                return [error]
        return [self.classify_each([each])[0] for each in encoded]

    def features(self, encoded: Sequence[bytes]) -> np.ndarray:
        """Returns the features of each image, float32 [N, hidden_dim].

        Args:
            encoded: images that passed `images.check`.

        Raises:
            ServingError: as `classify`.
        """
        inputs = {contract.IMAGE_BYTES: _strings(encoded)}
        return self.predict(inputs, contract.FEATURES_SIGNATURE)[contract.PRE_LOGITS]

    def predict(
        self, inputs: Mapping[str, np.ndarray], signature: str = contract.SERVING_SIGNATURE
    ) -> dict[str, np.ndarray]:
        """Calls a signature.

        Args:
            inputs: input name -> array; strings are bytes in an array of type object.
            signature: name of the signature.

        Returns:
            Output name -> array; strings are bytes in an array of type object.

        Raises:
            ServingError: the server refused the request, or could not be reached.
        """
        deadline = self._deadline()
        arrays = {name: np.asarray(value) for name, value in inputs.items()}
        specs = self._output_specs(signature, deadline) if self._transport.needs_specs else {}
        return self._call(
            lambda left: self._transport.predict(arrays, signature, specs, left), deadline
        )

    def status(self) -> dict[int, str]:
        """Returns version -> state, such as {1732000000: "AVAILABLE"}.

        Raises:
            ServingError: the model is not known, or the server could not be reached.
        """
        return self._call(self._transport.status, self._deadline())

    def signatures(self) -> dict[str, tuple[dict[str, TensorSpec], dict[str, TensorSpec]]]:
        """Returns signature -> (inputs, outputs), each name -> type and shape.

        Raises:
            ServingError: the model is not known, or the server could not be reached.
        """
        return self._call(self._transport.signatures, self._deadline())

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _output_specs(self, signature: str, deadline: float) -> dict[str, TensorSpec]:
        """Returns the outputs of a signature, which REST responses do not name; asked for once."""
        if signature not in self._specs:
            signatures = self._call(self._transport.signatures, deadline)
            found = {name: outputs for name, (_, outputs) in signatures.items()}
            if signature not in found:
                raise ServingError(
                    INVALID_ARGUMENT,
                    f"the model {self.model} must have the signature {signature!r}; it has "
                    f"{', '.join(sorted(found))}.",
                )
            self._specs = found
        return self._specs[signature]

    def _deadline(self) -> float:
        """Returns when a call that begins now must have ended, in `time.monotonic`."""
        return time.monotonic() + self._timeout

    def _call(self, attempt: Callable[[float], Any], deadline: float) -> Any:
        """Calls `attempt` with the seconds that are left, and repeats it while that makes sense."""
        for repetition in range(self._retries + 1):
            try:
                return attempt(max(deadline - time.monotonic(), 0.0))
            except ServingError as error:
                pause = self._pause(repetition, error)
                is_last = repetition == self._retries
                too_late = time.monotonic() + pause >= deadline
                if is_last or too_late or not self._transport.is_transient(error):
                    raise
            time.sleep(pause)
        raise AssertionError("unreachable")

    def _pause(self, repetition: int, error: ServingError) -> float:
        """Returns seconds: what the server asks for, or a random part of a doubling pause."""
        asked = getattr(error, "retry_after", None)
        if asked is not None:
            return asked
        most = min(self._backoff * 2**repetition, _MAX_BACKOFF_SECONDS)
        return most * random.uniform(0.5, 1.0)


def _open_transport(address: str, model: str, version: int | None):
    scheme, found, rest = address.partition("://")
    if not found:
        scheme, rest = "http", address
    if scheme in ("http", "https"):
        from mixer_tf.serving.rest_transport import RestTransport

        return RestTransport(scheme, rest, model, version)
    if scheme in ("grpc", "grpcs"):
        from mixer_tf.serving.grpc_transport import GrpcTransport

        return GrpcTransport(scheme, rest, model, version)
    raise ValueError(
        "the address of a server must be host:port, http://…, https://…, grpc://… or grpcs://…; "
        f"got {address!r}."
    )


def _strings(encoded: Sequence[bytes]) -> np.ndarray:
    return np.array([*encoded], object)
