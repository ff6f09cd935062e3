# SPDX-License-Identifier: Apache-2.0
"""Status codes of TensorFlow Serving: gRPC's names, and the HTTP statuses of its REST interface.

Source: tensorflow_serving/model_servers/http_server.cc. Imports nothing.
"""

from __future__ import annotations

CANCELLED = "CANCELLED"
INVALID_ARGUMENT = "INVALID_ARGUMENT"
NOT_FOUND = "NOT_FOUND"
FAILED_PRECONDITION = "FAILED_PRECONDITION"
UNAVAILABLE = "UNAVAILABLE"
UNIMPLEMENTED = "UNIMPLEMENTED"
DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
INTERNAL = "INTERNAL"
UNKNOWN = "UNKNOWN"

_HTTP = {
    CANCELLED: 499,
    UNKNOWN: 500,
    INVALID_ARGUMENT: 400,
    DEADLINE_EXCEEDED: 504,
    NOT_FOUND: 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    RESOURCE_EXHAUSTED: 429,
    FAILED_PRECONDITION: 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    UNIMPLEMENTED: 501,
    INTERNAL: 500,
    UNAVAILABLE: 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}
# Several codes have one HTTP status; the first of them is what a client reports. A proxy that does
# not reach its server answers with 502.
_CODES = (
    {status: code for code, status in reversed(_HTTP.items())}
    | {500: INTERNAL}
    | {
        400: INVALID_ARGUMENT,
        413: RESOURCE_EXHAUSTED,
        502: UNAVAILABLE,
    }
)


class ServingError(RuntimeError):
    """A model server refused a request, or could not be reached.

    Attributes:
        code: gRPC's name of the status, such as "INVALID_ARGUMENT".
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


def http_status(code: str) -> int:
    """Returns the HTTP status for the name of a gRPC status."""
    return _HTTP.get(code, 500)


def code_of(status: int) -> str:
    """Returns the name of the gRPC status for an HTTP status other than 200."""
    return _CODES.get(status, UNKNOWN)
