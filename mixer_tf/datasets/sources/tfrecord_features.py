# SPDX-License-Identifier: Apache-2.0
"""Parses tf.Examples of other projects: the features of the image, its class and its id."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence

from mixer_tf import features
from mixer_tf.datasets.sources import tfrecord_files
from mixer_tf.messages import without_credentials

Value = int | bytes

_IMAGE_KEYS = (features.ENCODED, "image", "image_raw", "encoded", "img")
_ID_KEYS = (features.SOURCE, "image/filename", "filename", "image/source_id", "image/id", "id")
_NAME_KEYS = (features.CLASS_NAME, "class_name", "label_name", "label/text")
# A class name is used as the label only in files without labels.
CLASS_KEYS = (features.LABEL, "label", "image/label", "class", "target", *_NAME_KEYS)
# A file of fewer bytes is more likely corrupt than raw pixels.
_MIN_RAW_SIDE = 8
_MAX_NAMES = 10


@dataclasses.dataclass(frozen=True)
class ParsedExample:
    """One record of a TFRecord file.

    Attributes:
        image_id: from the record, or else the name of the file and the index of the record.
        encoded: the encoded bytes of the image; empty if there are none.
        classes: feature name → value of each feature that may be the class.
        reasons: feature name → why the values of such a feature are not one class.
        lengths: feature name → the number of values, for the features of both.
        problem: why the image cannot be used, whatever its class is, or "".
    """

    image_id: str
    encoded: bytes = b""
    classes: dict[str, Value] = dataclasses.field(default_factory=dict)
    reasons: dict[str, str] = dataclasses.field(default_factory=dict)
    lengths: dict[str, int] = dataclasses.field(default_factory=dict)
    problem: str = ""

    @property
    def class_name(self) -> str:
        """The name of the class, or "" if the record has none."""
        values = (self.classes.get(key) for key in _NAME_KEYS)
        return next((to_text(value) for value in values if value is not None), "")


def read_file(path: str) -> Iterator[ParsedExample]:
    """Reads a TFRecord file; if it is corrupt, the last item has a problem."""
    name = path.rsplit("/", 1)[-1]
    try:
        for number, serialized in enumerate(tfrecord_files.read_records(path)):
            yield _parse(serialized, f"{name}/{number:07d}")
    except tfrecord_files.CorruptFileError as error:
        reason = without_credentials(str(error))
        yield ParsedExample(path, problem=f"corrupt or truncated TFRecord file: {reason}")


def to_text(value: Value) -> str:
    """Returns a feature value as a string; different values stay different."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def raw_pixels(num_bytes: int) -> str:
    """Returns "28x28" for 784 bytes: the size of a square gray or RGB image, or ""."""
    for channels in (1, 3):
        side = math.isqrt(num_bytes // channels)
        if side >= _MIN_RAW_SIDE and side * side * channels == num_bytes:
            return f"{side}x{side}" + (f"x{channels}" if channels > 1 else "")
    return ""


def _parse(serialized: bytes, default_id: str) -> ParsedExample:
    from google.protobuf.message import DecodeError
    from tensorflow.core.example import example_pb2

    try:
        found = example_pb2.Example.FromString(serialized).features.feature
    except DecodeError:
        return ParsedExample(default_id, problem="not a tf.Example")
    values = {key: _values(feature) for key, feature in found.items()}
    # An empty file name would be the id of every image.
    ids = {key: values[key] for key in _ID_KEYS if list(values.get(key, ())) not in ([], [b""])}
    image_id, encoded = _only(ids, _ID_KEYS), _only(values, _IMAGE_KEYS)
    stated = _only(values, [features.PROBLEM])
    problem = to_text(stated) if stated else _image_problem(values, encoded)
    problem = problem or _several(ids, _ID_KEYS)
    example = ParsedExample(
        image_id=default_id if image_id is None else to_text(image_id),
        encoded=encoded if isinstance(encoded, bytes) else b"",
        problem=problem,
    )
    for key in CLASS_KEYS:
        _add_class(example, key, values.get(key, ()))
    return example


def _values(feature) -> Sequence[Value | float]:
    return feature.int64_list.value or feature.bytes_list.value or feature.float_list.value


def _only(values: dict[str, Sequence], keys: Iterable[str]) -> Value | None:
    """The value of the first of these features that has any, or None if it has several."""
    found = next((values[key] for key in keys if values.get(key)), ())
    return found[0] if len(found) == 1 and not isinstance(found[0], float) else None


def _several(values: dict[str, Sequence], keys: Iterable[str]) -> str:
    """The reason for several values in the first of these features that has any, or ""."""
    key = next((key for key in keys if values.get(key)), None)
    if key is None or len(values[key]) == 1:
        return ""
    return f"the feature {key} must have one value; it has {len(values[key]):,}"


def _image_problem(values: dict[str, Sequence], encoded: Value | None) -> str:
    if isinstance(encoded, bytes):
        return ""
    key = next((key for key in _IMAGE_KEYS if values.get(key)), None)
    if key is None:
        return f"no encoded image; {_listing(sorted(values))}"
    if isinstance(values[key][0], bytes):
        return _several(values, [key])
    size = raw_pixels(len(values[key]))
    return f"no encoded image: the feature {key} has {len(values[key]):,} numbers" + (
        f" = {size}: raw pixels. Store them as PNG" if size else ""
    )


def _listing(names: list[str]) -> str:
    if not names:
        return "it has no features"
    shown = ", ".join(names[:_MAX_NAMES]) + (", …" if len(names) > _MAX_NAMES else "")
    return f"its features are {shown}"


def _add_class(example: ParsedExample, key: str, values: Sequence[Value | float]) -> None:
    """Adds the class of one feature: its value, the index of the only 1, or why it is neither."""
    if not values or (len(values) == 1 and values[0] == -1):
        return
    example.lengths[key] = len(values)
    try:
        example.classes[key] = _one_class(values)
    except ValueError as error:
        example.reasons[key] = f"the feature {key} must be one class; it {error}"


def _one_class(values: Sequence[Value | float]) -> Value:
    if len(values) == 1 and isinstance(values[0], float):
        if not values[0].is_integer():
            raise ValueError(f"is {values[0]:g}, which is not an integer")
        return int(values[0])
    if len(values) == 1:
        return values[0]
    if isinstance(values[0], bytes) or any(value not in (0, 1) for value in values):
        raise ValueError(f"has {len(values):,} values")
    if sum(values) != 1:
        raise ValueError(f"has {len(values):,} values, of which {int(sum(values)):,} are 1")
    return list(values).index(1)
