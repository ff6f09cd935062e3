# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Serving's gRPC services PredictionService and ModelService, for one model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    input_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    status_pb2,
)

from mixer_tf.serving import statuses
from mixer_tf.serving.grpc_transport import to_proto
from mixer_tf.serving.server.servable import Servable
from mixer_tf.serving.server.service import Service, Target
from mixer_tf.serving.statuses import ServingError

_SIGNATURE_DEF = "signature_def"


def _answers(method: Callable) -> Callable:
    """Translates an error to gRPC's status; an unexpected one is INTERNAL, with its first line."""

    @functools.wraps(method)
    def answer(self, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request)
        except ServingError as error:
            code, text = error.code, str(error)
        except Exception as error:
            code, text = statuses.INTERNAL, f"{type(error).__name__}: {error}".splitlines()[0]
        context.abort(grpc.StatusCode[code], text)

    return answer


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify and GetModelMetadata; Regress and MultiInference are UNIMPLEMENTED."""

    def __init__(self, service: Service):
        self._service = service

    @_answers
    def Predict(self, request):
        found = self._service.find(_target(request))
        signature = request.model_spec.signature_name
        inputs = {name: _to_array(name, tensor) for name, tensor in request.inputs.items()}
        outputs = self._service.predict(found, signature, inputs, request.output_filter)
        answer = predict_pb2.PredictResponse(model_spec=self._spec(found, signature))
        for name, value in outputs.items():
            answer.outputs[name].CopyFrom(to_proto(value))
        return answer

    @_answers
    def Classify(self, request):
        found = self._service.find(_target(request))
        signature = request.model_spec.signature_name
        results = self._service.classify(found, signature, _examples(request.input))
        answer = classification_pb2.ClassificationResponse(model_spec=self._spec(found, signature))
        for row in results:
            classes = answer.result.classifications.add().classes
            for label, score in row:
                classes.add(label=label, score=score)
        return answer

    @_answers
    def GetModelMetadata(self, request):
        for name in request.metadata_field or [""]:
            if name != _SIGNATURE_DEF:
                text = f"Metadata field {name!r} is not supported; ask for {_SIGNATURE_DEF!r}."
                raise ServingError(statuses.INVALID_ARGUMENT, text)
        found = self._service.find(_target(request))
        answer = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=self._spec(found))
        answer.metadata[_SIGNATURE_DEF].Pack(signature_def_map(found))
        return answer

    def _spec(self, found: Servable, signature: str = "") -> model_pb2.ModelSpec:
        spec = model_pb2.ModelSpec(name=self._service.model.name, signature_name=signature)
        spec.version.value = found.version
        return spec


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; HandleReloadConfigRequest is UNIMPLEMENTED."""

    def __init__(self, service: Service):
        self._service = service

    @_answers
    def GetModelStatus(self, request):
        return status_response(self._service, _target(request))


def signature_def_map(found: Servable) -> get_model_metadata_pb2.SignatureDefMap:
    """Returns all signatures of a version as the message of the metadata."""
    answer = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in found.signature_defs.items():
        answer.signature_def[name].CopyFrom(definition)
    return answer


def status_response(
    service: Service, target: Target
) -> get_model_status_pb2.GetModelStatusResponse:
    """Returns the status of a model as TensorFlow Serving's message.

    Raises:
        ServingError: the model or the version is not known.
    """
    answer = get_model_status_pb2.GetModelStatusResponse()
    states = get_model_status_pb2.ModelVersionStatus.State
    for version, status in service.status(target).items():
        code = tf.errors.INVALID_ARGUMENT if status.error else tf.errors.OK
        answer.model_version_status.add(
            version=version,
            state=states.Value(status.state),
            status=status_pb2.StatusProto(error_code=code, error_message=status.error),
        )
    return answer


def _target(request: Any) -> Target:
    spec = request.model_spec
    version = spec.version.value if spec.HasField("version") else None
    return Target(spec.name, version, spec.version_label)


def _to_array(name: str, tensor: Any):
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        text = f"{name} must be a valid tensor; {str(error).splitlines()[0]}."
        raise ServingError(statuses.INVALID_ARGUMENT, text) from error


def _examples(given: input_pb2.Input) -> list[bytes]:
    """Returns the serialized examples of a request; each has the features of the context."""
    if given.WhichOneof("kind") == "example_list_with_context":
        with_context = given.example_list_with_context
        examples = [
            tf.train.Example.FromString(with_context.context.SerializeToString())
            for _ in with_context.examples
        ]
        for merged, example in zip(examples, with_context.examples, strict=True):
            merged.MergeFrom(example)
    else:
        examples = list(given.example_list.examples)
    if not examples:
        raise ServingError(statuses.INVALID_ARGUMENT, "Input is empty; give at least one example.")
    return [example.SerializeToString() for example in examples]
