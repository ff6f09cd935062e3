# SPDX-License-Identifier: Apache-2.0
"""The record of one image with its label, stored as a tf.Example.

Every step from ImageExampleGen to the `examples` signature of the served model reads and writes
these feature keys, which are defined only here.
"""

from __future__ import annotations

import dataclasses

ENCODED = "image/encoded"
FORMAT = "image/format"
LABEL = "image/class/label"
CLASS_NAME = "image/class/text"
SOURCE = "image/source"
WIDTH = "image/width"
HEIGHT = "image/height"
PROBLEM = "image/problem"
# Only in evaluation and test images of a dataset whose duplicates are marked: the path or id of the
# training image that an image is a duplicate of, or "", and 1 or 0, by which metrics are sliced.
DUPLICATE_OF = "duplicate_of"
LEAKED = "leaked"

TRAIN, EVAL, TEST = "train", "eval", "test"
SPLITS = (TRAIN, EVAL, TEST)


@dataclasses.dataclass(frozen=True)
class ImageRecord:
    """One image as the source stores it, not decoded.

    Attributes:
        encoded: the bytes of the file; empty if it could not be read.
        format: the format as PIL names it: "JPEG", "PNG", "GIF", "BMP", "WEBP", …; "" if unknown.
        label: index into the class names of the dataset; None if the source has no label.
        class_name: the name of that class, or "".
        source: the path of the image, or an id such as "digits/0042".
        width: width in pixels; 0 if the header could not be read.
        height: height in pixels; 0 if the header could not be read.
        problem: why the image cannot be used, such as "file not found", or "".
        duplicate_of: the path or id of the training image that it is a duplicate of, "" if there
            is none; None if the dataset is not marked.
    """

    encoded: bytes
    format: str
    label: int | None
    class_name: str
    source: str
    width: int
    height: int
    problem: str = ""
    duplicate_of: str | None = None

    def to_example(self) -> bytes:
        """Returns the record as a serialized tf.Example; empty values become missing features."""
        values = {
            ENCODED: self.encoded,
            FORMAT: self.format.encode(),
            LABEL: self.label,
            CLASS_NAME: self.class_name.encode(),
            SOURCE: self.source.encode("utf-8", "surrogateescape"),
            WIDTH: self.width,
            HEIGHT: self.height,
            PROBLEM: self.problem.encode(),
        }
        from tensorflow.core.example import example_pb2

        example = example_pb2.Example()
        for key, value in values.items():
            feature = example.features.feature
            if isinstance(value, int):
                feature[key].int64_list.value.append(value)
            elif value:
                feature[key].bytes_list.value.append(value)
        if self.duplicate_of is not None:
            _set_duplicate(example, self.duplicate_of)
        return example.SerializeToString(deterministic=True)

    @classmethod
    def from_example(cls, serialized: bytes) -> ImageRecord:
        """Parses the output of `to_example`; a missing feature becomes an empty value."""
        from tensorflow.core.example import example_pb2

        features = example_pb2.Example.FromString(serialized).features.feature

        def text(key: str) -> str:
            return _first(features, key, "bytes_list", b"").decode("utf-8", "surrogateescape")

        return cls(
            encoded=_first(features, ENCODED, "bytes_list", b""),
            format=text(FORMAT),
            label=_first(features, LABEL, "int64_list", None),
            class_name=text(CLASS_NAME),
            source=text(SOURCE),
            width=_first(features, WIDTH, "int64_list", 0),
            height=_first(features, HEIGHT, "int64_list", 0),
            problem=text(PROBLEM),
            duplicate_of=text(DUPLICATE_OF) if DUPLICATE_OF in features else None,
        )


def mark_example(serialized: bytes, duplicate_of: str) -> bytes:
    """Returns a serialized tf.Example with `DUPLICATE_OF` and `LEAKED`; all else is unchanged.

    Args:
        serialized: the tf.Example of an evaluation or test image.
        duplicate_of: the path or id of the training image that it is a duplicate of, or "".
    """
    from tensorflow.core.example import example_pb2

    example = example_pb2.Example.FromString(serialized)
    _set_duplicate(example, duplicate_of)
    return example.SerializeToString(deterministic=True)


def _set_duplicate(example, duplicate_of: str) -> None:
    feature = example.features.feature
    feature[DUPLICATE_OF].bytes_list.value[:] = [duplicate_of.encode("utf-8", "surrogateescape")]
    feature[LEAKED].int64_list.value[:] = [int(bool(duplicate_of))]


def _first(features, key: str, kind: str, default):
    values = getattr(features[key], kind).value if key in features else ()
    return values[0] if values else default
