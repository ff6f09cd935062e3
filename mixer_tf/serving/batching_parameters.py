# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Serving's batching parameters, as the text protocol buffer of its flag
`--batching_parameters_file`. Imports nothing heavy.

Source: BatchingParameters in tensorflow_serving/servables/tensorflow/session_bundle_config.proto,
whose Python module is not published.
"""

from __future__ import annotations

import dataclasses
import re

from mixer_tf.messages import did_you_mean

_COMMENT = re.compile(r"#[^\n]*")
_VALUE = r"\w+|\"[^\"\n]*\""
_WRAPPED = re.compile(rf"\s*(\w+)\s*:?\s*\{{\s*value\s*:\s*({_VALUE})\s*;?\s*\}}\s*[,;]?")
_PLAIN = re.compile(rf"\s*(\w+)\s*:\s*({_VALUE}|\[[^\]]*\])\s*[,;]?")
# Fields of TensorFlow Serving that change nothing here: names of threads, and padding.
_IGNORED = ("thread_pool_name", "pad_variable_length_inputs", "allowed_batch_sizes")


@dataclasses.dataclass(frozen=True)
class BatchingParameters:
    """How concurrent requests become one batch.

    Attributes:
        max_batch_size: the maximum number of examples in a request.
        batch_timeout_micros: microseconds that a request waits for others at most.
        num_batch_threads: the number of batches that run at the same time.
        max_enqueued_batches: the number of full batches that may wait; more is UNAVAILABLE.
        enable_large_batch_splitting: whether a batch is limited by `max_execution_batch_size`.
        max_execution_batch_size: the maximum number of examples in a batch if so; otherwise, that
            is `max_batch_size`.
    """

    max_batch_size: int = 1024
    batch_timeout_micros: int = 0
    num_batch_threads: int = 2
    max_enqueued_batches: int = 1000
    enable_large_batch_splitting: bool = True
    max_execution_batch_size: int = 32

    def __post_init__(self):
        sizes = ("max_batch_size", "max_execution_batch_size")
        for name in (*sizes, "num_batch_threads", "max_enqueued_batches"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}.")
        if self.batch_timeout_micros < 0:
            raise ValueError(f"batch_timeout_micros must be >= 0; got {self.batch_timeout_micros}.")
        if self.max_execution_batch_size > self.max_batch_size:
            raise ValueError(
                "max_execution_batch_size must be at most max_batch_size; got "
                f"{self.max_execution_batch_size} and {self.max_batch_size}."
            )

    @property
    def largest_batch(self) -> int:
        """The maximum number of examples that run together."""
        is_split = self.enable_large_batch_splitting
        return self.max_execution_batch_size if is_split else self.max_batch_size

    def to_text(self, comment: str = "") -> str:
        """Returns the text of the file, with a comment above it."""
        lines = [f"# {line}".rstrip() for line in comment.splitlines()]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            word = str(value).lower() if isinstance(value, bool) else value
            lines.append(f"{field.name} {{ value: {word} }}")
        return "\n".join(lines) + "\n"

    @classmethod
    def from_text(cls, text: str) -> BatchingParameters:
        """Parses the text of the file.

        What it leaves out is as in TensorFlow Serving where that is not a matter of speed: batches
        are not split, and as large as a request may be.

        Raises:
            ValueError: the text has another form, or a value is out of range.
        """
        rest, values = _COMMENT.sub("", text), {"enable_large_batch_splitting": False}
        while rest.strip():
            match = _WRAPPED.match(rest) or _PLAIN.match(rest)
            if not match:
                raise ValueError(
                    "a line of batching parameters must be like max_batch_size { value: 32 }; "
                    f"got {rest.strip().splitlines()[0]!r}."
                )
            name, value = match.groups()
            if name not in _IGNORED:
                values[name] = cls._parse(name, value)
            rest = rest[match.end() :]
        values.setdefault("max_execution_batch_size", values.get("max_batch_size", 1024))
        return cls(**values)

    @classmethod
    def _parse(cls, name: str, value: str) -> int | bool:
        kinds = {field.name: field.type for field in dataclasses.fields(cls)}
        if name not in kinds:
            raise ValueError(
                f"unknown batching parameter {name!r}.{did_you_mean(name, kinds)} "
                f"The parameters are {', '.join(kinds)}."
            )
        if kinds[name] == "bool" and value in ("true", "false"):
            return value == "true"
        if kinds[name] == "int" and value.isdecimal():
            return int(value)
        raise ValueError(f"{name} must be of type {kinds[name]}; got {value!r}.")
