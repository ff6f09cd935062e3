# SPDX-License-Identifier: Apache-2.0
"""One version of a model, loaded as TensorFlow Serving loads it: a session on the graph."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from mixer_tf.serving import contract, statuses
from mixer_tf.serving.grpc_transport import read_specs
from mixer_tf.serving.statuses import ServingError
from mixer_tf.serving.tensor_json import TensorSpec, describe

_TAG = "serve"
# Lines that TensorFlow writes around the reason.
_NOT_REASONS = ("Graph execution error", "Detected at node", "Node:", "[[{{node")
_MAX_MESSAGE = 500  # TensorFlow repeats an example that it cannot parse, in full.
CLASSIFY_METHOD = "tensorflow/serving/classify"


class Servable:
    """A loaded SavedModel; threads may share it.

    Attributes:
        version: number of the version.
        signature_defs: signature -> SignatureDef, for the metadata.
    """

    def __init__(self, path: str, version: int):
        """Loads a SavedModel, and sends it its warm-up requests.

        Raises:
            ValueError: the model does not load, or fails a warm-up request.
        """
        self.version = version
        config = tf.compat.v1.ConfigProto()
        config.gpu_options.allow_growth = True  # two versions are loaded while one replaces another
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        try:
            with self._session.graph.as_default():
                graph = tf.compat.v1.saved_model.load(self._session, [_TAG], path)
            self.signature_defs = dict(graph.signature_def)
            self._calls = {
                name: _Call(self._session, definition)
                for name, definition in self.signature_defs.items()
                if name != contract.INIT_SIGNATURE
            }
            self._warm_up(path)
        except Exception as error:  # TensorFlow raises many kinds for a corrupt model
            raise ValueError(f"{path} must load as a SavedModel; {_first_line(error)}") from error

    def input_specs(self, signature: str) -> Mapping[str, TensorSpec]:
        """Returns the inputs of a signature; "" is the default one.

        Raises:
            ServingError: there is no such signature.
        """
        return self._call(signature).inputs

    def check(self, signature: str, inputs: Mapping[str, np.ndarray]) -> int:
        """Returns the number of examples in the inputs of a call.

        Raises:
            ServingError: there is no such signature, or an input is missing, unknown or of another
                type or shape.
        """
        call = self._call(signature)
        if inputs.keys() != call.inputs.keys():
            raise _invalid(
                f"{signature or contract.SERVING_SIGNATURE} must have exactly the inputs "
                f"{', '.join(sorted(call.inputs))}; got {', '.join(sorted(inputs)) or 'none'}"
            )
        for name, spec in call.inputs.items():
            if not spec.matches(inputs[name]):
                raise _invalid(f"{name} must be {spec}; got {describe(inputs[name])}")
        return next((len(value) for value in inputs.values() if value.ndim), 1)

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns all outputs of a signature, for inputs that passed `check`.

        Raises:
            ServingError: the graph raised an error, such as for bytes that are not an image.
        """
        call = self._call(signature)
        try:
            return call.run(inputs)
        except tf.errors.CancelledError as error:
            # Of operations that ran at once one failed, and TensorFlow reports another.
            raise _invalid("an image of the request cannot be decoded") from error
        except tf.errors.DataLossError as error:
            raise _invalid("a serialized tf.Example of the request is corrupt") from error
        except tf.errors.OpError as error:
            raise ServingError(_code_name(error), _first_line(error)) from error
        except (TypeError, ValueError) as error:
            raise _invalid(_first_line(error)) from error

    def _call(self, signature: str) -> _Call:
        name = signature or contract.SERVING_SIGNATURE
        if name not in self._calls:
            raise ServingError(
                statuses.INVALID_ARGUMENT,
                f'Serving signature name: "{name}" not found in signature def; the model has '
                f"{', '.join(sorted(self._calls))}.",
            )
        return self._calls[name]

    def _warm_up(self, path: str) -> None:
        file = os.path.join(path, contract.EXTRA_ASSETS, contract.WARMUP_FILE)
        if not tf.io.gfile.exists(file):
            return
        for record in tf.compat.v1.io.tf_record_iterator(file):
            log = prediction_log_pb2.PredictionLog.FromString(record)
            if log.WhichOneof("log_type") == "predict_log":
                request = log.predict_log.request
                inputs = {name: tf.make_ndarray(each) for name, each in request.inputs.items()}
                self.predict(request.model_spec.signature_name, inputs)


class _Call:
    """One signature as a function from arrays to arrays."""

    def __init__(self, session: tf.compat.v1.Session, definition):
        self.inputs = read_specs(definition.inputs)
        self.outputs = sorted(definition.outputs)
        self._order = sorted(definition.inputs)
        self._run = session.make_callable(
            [definition.outputs[name].name for name in self.outputs],
            [definition.inputs[name].name for name in self._order],
        )

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = self._run(*(inputs[name] for name in self._order))
        return dict(zip(self.outputs, found, strict=True))


def select(outputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns the outputs that a request asks for; all of them without names.

    Raises:
        ServingError: an output does not exist.
    """
    for name in names:
        if name not in outputs:
            raise _invalid(
                f"output tensor alias not found in signature: {name}; the outputs are "
                f"{', '.join(sorted(outputs))}"
            )
    return {name: outputs[name] for name in names or outputs}


def _invalid(message: str) -> ServingError:
    return ServingError(statuses.INVALID_ARGUMENT, message + ".")


def _code_name(error: tf.errors.OpError) -> str:
    """Returns the name of a TensorFlow error's code, which is also gRPC's."""
    import grpc

    return {code.value[0]: code.name for code in grpc.StatusCode}.get(error.error_code, "UNKNOWN")


def _first_line(error: Exception) -> str:
    """Returns the first line that says what is wrong; without nodes of the graph and long bytes."""
    text = getattr(error, "message", None) or str(error)
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(_NOT_REASONS)]
    return (lines or [type(error).__name__])[0][:_MAX_MESSAGE]
