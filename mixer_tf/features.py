# SPDX-License-Identifier: Apache-2.0
"""The record that travels through the whole project: one image with its label, as a tf.Example.

Every step from ImageExampleGen to the `examples` signature of the served model reads and writes
the feature keys that are named here, and nowhere else.
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

TRAIN, EVAL, TEST = "train", "eval", "test"
SPLITS = (TRAIN, EVAL, TEST)


@dataclasses.dataclass(frozen=True)
class ImageRecord:
    """One image as it was found, before anything was decoded.

    Attributes:
        encoded: the file's bytes; empty where there was nothing to read.
        format: "JPEG", "PNG", "GIF", "BMP", "WEBP", … as PIL names it; "" where it is unknown.
        label: index into the dataset's class names, or None where the source has no label.
        class_name: the name of that class, or "".
        source: where the image comes from: a path, or an id such as "digits/0042".
        width: pixels, 0 where the header could not be read.
        height: pixels, 0 where the header could not be read.
        problem: why the image cannot be used ("file not found"), or "".
    """

    encoded: bytes
    format: str
    label: int | None
    class_name: str
    source: str
    width: int
    height: int
    problem: str = ""

    def to_example(self) -> bytes:
        """Returns the record as a serialized tf.Example; absent values are absent features."""
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
        return example.SerializeToString(deterministic=True)

    @classmethod
    def from_example(cls, serialized: bytes) -> ImageRecord:
        """Reads what `to_example` wrote; a missing feature becomes its empty value."""
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
        )


def _first(features, key: str, kind: str, default):
    values = getattr(features[key], kind).value if key in features else ()
    return values[0] if values else default
