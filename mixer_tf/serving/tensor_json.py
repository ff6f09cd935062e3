# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Serving's JSON: predict requests and responses as numpy arrays, in both directions.

Source: tensorflow_serving/g3doc/api_rest.md and util/json_tensor.cc. Needs no TensorFlow.

| format | request | response |
|---|---|---|
| row | `instances`: one value, or one object of named values, per example | `predictions` |
| columnar | `inputs`: one batch, or one object of named batches | `outputs` |

If there is one output, its name is left out. Bytes are `{"b64": …}` in requests; in responses only
those outputs are whose name ends in `_bytes`, and all other strings are text.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mixer_tf.serving.statuses import INVALID_ARGUMENT, ServingError

SIGNATURE_NAME = "signature_name"
INSTANCES, PREDICTIONS = "instances", "predictions"
INPUTS, OUTPUTS = "inputs", "outputs"
ERROR = "error"
STRING = "string"

_MAX_DIMENSIONS = 32  # of a numpy array
_B64 = "b64"
_BYTES_SUFFIX = "_bytes"


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """Type and shape of an input or output.

    Attributes:
        dtype: numpy's name of the type, or "string".
        shape: None for an unknown dimension; None as a whole for an unknown rank.
    """

    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.dtype} of any shape"
        return f"{self.dtype} {_shape_text(self.shape)}"

    def matches(self, array: np.ndarray) -> bool:
        """Whether an array has this type and a compatible shape; strings are of type object."""
        if dtype_name(array) != self.dtype:
            return False
        return self.shape is None or (
            array.ndim == len(self.shape)
            and all(
                known in (None, given) for known, given in zip(self.shape, array.shape, strict=True)
            )
        )


@dataclasses.dataclass(frozen=True)
class PredictCall:
    """A predict request.

    Attributes:
        signature: name of the signature; "" for the default.
        inputs: input name -> array; strings are bytes in arrays of type object.
        is_row: whether the request has the row format.
    """

    signature: str
    inputs: Mapping[str, np.ndarray]
    is_row: bool


def dtype_name(array: np.ndarray) -> str:
    """Returns the name of an array's type as `TensorSpec` has it."""
    return STRING if array.dtype.kind in "OSU" else array.dtype.name


def describe(array: np.ndarray) -> str:
    """Returns type and shape for a message, such as "uint8 [1, 16, 16, 3]"."""
    return f"{dtype_name(array)} {_shape_text(array.shape)}"


def write_request(inputs: Mapping[str, np.ndarray], signature: str) -> bytes:
    """Returns a predict request in the columnar format, which may hold an empty batch."""
    body = {
        SIGNATURE_NAME: signature,
        INPUTS: {name: _to_json(array, is_text=False) for name, array in inputs.items()},
    }
    return json.dumps(body).encode()


def read_response(body: Any, specs: Mapping[str, TensorSpec]) -> dict[str, np.ndarray]:
    """Returns the outputs in a response to `write_request`.

    Args:
        body: the parsed JSON.
        specs: type and shape of each output of the signature.

    Raises:
        ValueError: the response is not that of the signature.
    """
    outputs = body.get(OUTPUTS) if isinstance(body, dict) else None
    if len(specs) == 1:
        outputs = dict.fromkeys(specs, outputs)
    if not isinstance(outputs, dict) or outputs.keys() != specs.keys():
        raise ValueError(f"the response must have the outputs {', '.join(specs)}.")
    return {name: to_array(name, outputs[name], spec) for name, spec in specs.items()}


def read_request(body: bytes, specs_of: Callable[[str], Mapping[str, TensorSpec]]) -> PredictCall:
    """Parses a predict request in either format.

    Args:
        body: the JSON.
        specs_of: returns the inputs of a signature by its name.

    Raises:
        ServingError: the request is malformed, or `specs_of` raised it.
    """
    request = parse_object(body)
    signature = read_signature(request)
    given = [key for key in (INSTANCES, INPUTS) if key in request]
    if len(given) != 1:
        raise _invalid(
            f"a request must have either '{INSTANCES}' or '{INPUTS}'; "
            f"got {'both' if given else 'neither'}"
        )
    specs = specs_of(signature)
    read = _read_rows if given == [INSTANCES] else _read_columns
    inputs = {name: to_array(name, *pair) for name, pair in read(request[given[0]], specs).items()}
    return PredictCall(signature, inputs, given == [INSTANCES])


def parse_object(body: bytes) -> dict:
    """Returns the JSON object of a request body.

    Raises:
        ServingError: the body is not a JSON object.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:  # ValueError also for bytes that are not UTF-8
        raise _invalid(f"the body of a request must be JSON; {error}") from None
    if not isinstance(request, dict):
        raise _invalid(f"the body of a request must be a JSON object; got {_kind(request)}")
    return request


def read_signature(request: Mapping[str, Any]) -> str:
    """Returns the name of the signature of a request; "" for the default."""
    signature = request.get(SIGNATURE_NAME, "")
    if not isinstance(signature, str):
        raise _invalid(f"'{SIGNATURE_NAME}' must be a string; got {_kind(signature)}")
    return signature


def write_response(outputs: Mapping[str, np.ndarray], is_row: bool) -> bytes:
    """Returns the response to a predict request.

    Raises:
        ServingError: the row format is not possible, because the outputs have different numbers of
            rows or none.
    """
    columns = {
        name: _to_json(array, is_text=not name.endswith(_BYTES_SUFFIX))
        for name, array in sorted(outputs.items())
    }
    if not is_row:
        body = next(iter(columns.values())) if len(columns) == 1 else columns
        return json.dumps({OUTPUTS: body}, ensure_ascii=False).encode()
    num_rows = {array.shape[:1] for array in outputs.values()}
    if len(num_rows) != 1 or num_rows == {()}:
        raise _invalid(f"the outputs must have one row per example; use '{INPUTS}' instead")
    names, rows = list(columns), zip(*columns.values(), strict=True)
    body = [row[0] if len(names) == 1 else dict(zip(names, row, strict=True)) for row in rows]
    return json.dumps({PREDICTIONS: body}, ensure_ascii=False).encode()


def to_array(name: str, value: Any, spec: TensorSpec) -> np.ndarray:
    """Converts nested lists to an array of the type that is expected; the shape may be another.

    Args:
        name: name of the input or output, for messages.
        value: nested lists, or one value.
        spec: the type that is expected.

    Raises:
        ServingError: a value has another type or is out of range, or the lists are not rectangular.
    """
    if spec.dtype == STRING:
        return _to_strings(name, value)
    try:
        array = np.array(value)
    except ValueError:
        raise _invalid(f"{name} must be rectangular: lists of one length at each level") from None
    allowed = {"f": "iuf", "b": "b"}.get(np.dtype(spec.dtype).kind, "iu")
    if array.size and array.dtype.kind not in allowed:
        raise _invalid(f"{name} must be {spec}; got values that are not {spec.dtype}")
    if array.size and allowed == "iu":
        limits = np.iinfo(spec.dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise _invalid(f"{name} must be {spec.dtype}, from {limits.min} to {limits.max}")
    return _to_floats(name, array, spec.dtype) if allowed == "iuf" else array.astype(spec.dtype)


def _to_floats(name: str, array: np.ndarray, dtype: str) -> np.ndarray:
    """Returns an array of a float type, which holds all finite values as finite ones."""
    with np.errstate(over="ignore"):
        floats = array.astype(dtype)
    if not np.array_equal(np.isfinite(floats), np.isfinite(array)):
        raise _invalid(f"{name} must be {dtype}, up to ±{np.finfo(dtype).max:.3g}")
    return floats


def _read_rows(instances: Any, specs: Mapping[str, TensorSpec]) -> dict[str, tuple]:
    if not isinstance(instances, list) or not instances:
        raise _invalid(f"'{INSTANCES}' must be a list with at least one example")
    rows = [
        _named(value, specs, f"example {row} of '{INSTANCES}'")
        for row, value in enumerate(instances)
    ]
    return {name: ([row[name] for row in rows], spec) for name, spec in specs.items()}


def _read_columns(inputs: Any, specs: Mapping[str, TensorSpec]) -> dict[str, tuple]:
    named = _named(inputs, specs, f"'{INPUTS}'")
    return {name: (named[name], spec) for name, spec in specs.items()}


def _named(value: Any, specs: Mapping[str, TensorSpec], where: str) -> dict[str, Any]:
    """Returns an object of named values; a plain value is that of the only input."""
    names = ", ".join(sorted(specs))
    if not isinstance(value, dict) or value.keys() == {_B64}:
        if len(specs) != 1:
            raise _invalid(f"{where} must be an object with the inputs {names}")
        return dict.fromkeys(specs, value)
    if value.keys() != specs.keys():
        given = ", ".join(sorted(value)) or "none"
        raise _invalid(f"{where} must have exactly the inputs {names}; got {given}")
    return value


def _to_strings(name: str, value: Any) -> np.ndarray:
    """Returns an array of bytes of the shape of the nested lists."""
    shape = _shape_of(value)
    if len(shape) > _MAX_DIMENSIONS:
        raise _invalid(f"{name} must have at most {_MAX_DIMENSIONS} dimensions; got {len(shape)}")
    leaves: list[bytes] = []
    _collect_strings(name, value, shape, leaves)
    return np.array(leaves, object).reshape(shape)


def _shape_of(value: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _collect_strings(name: str, value: Any, shape: Sequence[int], leaves: list[bytes]) -> None:
    if not shape:
        leaves.append(_to_bytes(name, value))
        return
    if not isinstance(value, list) or len(value) != shape[0]:
        raise _invalid(f"{name} must be rectangular: lists of one length at each level")
    for item in value:
        _collect_strings(name, item, shape[1:], leaves)


def _to_bytes(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if not isinstance(value, dict) or value.keys() != {_B64} or not isinstance(value[_B64], str):
        raise _invalid(f'{name} must be strings, or bytes as {{"b64": "…"}}; got {_kind(value)}')
    try:
        return _decode_base64(value[_B64])
    except (binascii.Error, ValueError):
        raise _invalid(f"{name} must be valid base64 in 'b64'") from None


def _decode_base64(text: str) -> bytes:
    """Decodes as TensorFlow Serving does: white space and missing padding are accepted."""
    text = "".join(text.split()) if any(character.isspace() for character in text) else text
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _to_json(array: np.ndarray, is_text: bool) -> Any:
    """Returns nested lists; a float32 is written with the digits that it needs."""
    array = np.asarray(array)
    if dtype_name(array) != STRING:
        return (array.astype(str).astype(float) if array.dtype == np.float32 else array).tolist()
    encode = _text if is_text else _base64_object
    return _map_nested(array.tolist(), encode)


def _map_nested(value: Any, function: Callable) -> Any:
    if isinstance(value, list):
        return [_map_nested(item, function) for item in value]
    return function(value)


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _base64_object(value: bytes | str) -> dict[str, str]:
    value = value.encode() if isinstance(value, str) else value
    return {_B64: base64.b64encode(value).decode()}


def _shape_text(shape: Sequence[int | None]) -> str:
    """Returns "[N, 16, 16, 3]" where only the first dimension is not known."""
    named = [
        "N" if size is None and not at else "?" if size is None else str(size)
        for at, size in enumerate(shape)
    ]
    return f"[{', '.join(named)}]"


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")


def _invalid(message: str) -> ServingError:
    return ServingError(INVALID_ARGUMENT, message + ".")
