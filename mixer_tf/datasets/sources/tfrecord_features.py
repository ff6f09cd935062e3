# SPDX-License-Identifier: Apache-2.0
"""Parses tf.Examples of other projects: the features of the image, its class and its id."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from mixer_tf import features
from mixer_tf.datasets.sources import tfrecord_files

Value = int | bytes

_IMAGE_KEYS = (features.ENCODED, "image", "image_raw", "encoded", "img")
_ID_KEYS = (features.SOURCE, "image/filename", "filename", "image/source_id", "image/id", "id")
_NAME_KEYS = (features.CLASS_NAME, "class_name", "label_name", "label/text")
# A class name is used as the label only in files without labels.
CLASS_KEYS = (features.LABEL, "label", "image/label", "class", "target", *_NAME_KEYS)


@dataclasses.dataclass(frozen=True)
class ParsedExample:
    """One record of a TFRecord file.

    Attributes:
        image_id: from the record, or else the name of the file and the index of the record.
        encoded: the encoded bytes of the image; empty if there are none.
        classes: feature name → value of each feature that may be the class.
        problem: why the image cannot be used, or "".
    """

    image_id: str
    encoded: bytes = b""
    classes: dict[str, Value] = dataclasses.field(default_factory=dict)
    problem: str = ""

    @property
    def class_name(self) -> str:
        """The name of the class, or "" if the record has none."""
        return next((to_text(self.classes[key]) for key in _NAME_KEYS if key in self.classes), "")


def read_file(path: str) -> Iterator[ParsedExample]:
    """Reads a TFRecord file; if it is corrupt, the last item has a problem."""
    name = path.rsplit("/", 1)[-1]
    try:
        for number, serialized in enumerate(tfrecord_files.read_records(path)):
            yield _parse(serialized, f"{name}/{number:07d}")
    except tfrecord_files.CorruptFileError as error:
        yield ParsedExample(path, problem=f"corrupt or truncated TFRecord file: {error}")


def to_text(value: Value) -> str:
    """Returns a feature value as a string."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _parse(serialized: bytes, default_id: str) -> ParsedExample:
    from google.protobuf.message import DecodeError
    from tensorflow.core.example import example_pb2

    try:
        found = example_pb2.Example.FromString(serialized).features.feature
    except DecodeError:
        return ParsedExample(default_id, problem="not a tf.Example")
    image_id, encoded = _first(found, _ID_KEYS), _first(found, _IMAGE_KEYS)
    problem = to_text(_first(found, [features.PROBLEM]) or b"")
    if not isinstance(encoded, bytes):
        problem = problem or f"no encoded image; its features are {', '.join(sorted(found))}"
        encoded = b""
    values = {key: _first(found, [key]) for key in CLASS_KEYS}
    return ParsedExample(
        image_id=default_id if image_id is None else to_text(image_id),
        encoded=encoded,
        classes={key: value for key, value in values.items() if value not in (None, -1)},
        problem=problem,
    )


def _first(found, keys: Iterable[str]) -> Value | None:
    """The first value of the first of these features that has one."""
    for key in keys:
        if key in found:
            values = found[key].int64_list.value or found[key].bytes_list.value
            if values:
                return values[0]
    return None
