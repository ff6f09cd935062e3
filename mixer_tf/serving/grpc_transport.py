# SPDX-License-Identifier: Apache-2.0
"""gRPC calls of `Client`, with TensorFlow Serving's own messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from mixer_tf.serving import contract, statuses
from mixer_tf.serving.statuses import ServingError
from mixer_tf.serving.tensor_json import TensorSpec

# By default a message has at most 4 MB, which is less than one photograph of a phone.
MESSAGE_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)


class GrpcTransport:
    """The gRPC interface of one model; see `Client` for the arguments."""

    needs_specs = False

    def __init__(self, scheme: str, address: str, model: str, version: int | None):
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError(
                "the address of a gRPC server must be host:port, such as grpc://localhost:8500; "
                f"got {address!r}."
            )
        self._where = f"{scheme}://{address}"
        self._channel = _open_channel(scheme, address)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._model = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._name, self._version = model, version

    def predict(
        self,
        inputs: Mapping[str, np.ndarray],
        signature: str,
        specs: Mapping[str, TensorSpec],
        timeout: float,
    ) -> dict[str, np.ndarray]:
        request = predict_pb2.PredictRequest(model_spec=self._spec(signature))
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(to_proto(value))
        answer = self._send(self._prediction.Predict, request, timeout)
        return {name: tf.make_ndarray(tensor) for name, tensor in answer.outputs.items()}

    def status(self, timeout: float) -> dict[int, str]:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=self._spec())
        answer = self._send(self._model.GetModelStatus, request, timeout)
        name_of = get_model_status_pb2.ModelVersionStatus.State.Name
        return {each.version: name_of(each.state) for each in answer.model_version_status}

    def signatures(self, timeout: float) -> dict[str, tuple[dict, dict]]:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._spec(), metadata_field=["signature_def"]
        )
        answer = self._send(self._prediction.GetModelMetadata, request, timeout)
        found = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(found)
        return {
            name: (read_specs(each.inputs), read_specs(each.outputs))
            for name, each in found.signature_def.items()
            if name != contract.INIT_SIGNATURE
        }

    def is_transient(self, error: ServingError) -> bool:
        """Whether the same call may succeed a moment later.

        RESOURCE_EXHAUSTED is also the status of a message that is too large, now and later.
        """
        return error.code == statuses.UNAVAILABLE

    def close(self) -> None:
        self._channel.close()

    def _send(self, method: Callable, request: Any, timeout: float) -> Any:
        try:
            return method(request, timeout=timeout)
        except grpc.RpcError as error:
            code = error.code().name
            text = error.details() or code
            if code == statuses.DEADLINE_EXCEEDED:
                text = f"{self._where} must answer within {timeout:.1f} s; it did not."
            elif code == statuses.UNAVAILABLE:
                text = f"{self._where} must be reachable; {text}"
            raise ServingError(code, text) from error

    def _spec(self, signature: str = "") -> model_pb2.ModelSpec:
        spec = model_pb2.ModelSpec(name=self._name, signature_name=signature)
        if self._version is not None:
            spec.version.value = self._version
        return spec


def to_proto(array: np.ndarray):
    """Returns a TensorProto; an empty array of objects is one of strings."""
    is_string = array.dtype.kind in "OSU"
    return tf.make_tensor_proto(array, tf.string if is_string else None, array.shape)


def read_specs(tensors: Mapping[str, Any]) -> dict[str, TensorSpec]:
    """Returns name -> type and shape for a map of TensorInfo."""
    return {name: _read_spec(tensor) for name, tensor in tensors.items()}


def _read_spec(tensor: Any) -> TensorSpec:
    dtype = tf.as_dtype(tensor.dtype).name
    if tensor.tensor_shape.unknown_rank:
        return TensorSpec(dtype, None)
    sizes = (dim.size for dim in tensor.tensor_shape.dim)
    return TensorSpec(dtype, tuple(None if size < 0 else size for size in sizes))


def _open_channel(scheme: str, address: str) -> grpc.Channel:
    if scheme == "grpcs":
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(), MESSAGE_OPTIONS)
    return grpc.insecure_channel(address, MESSAGE_OPTIONS)
