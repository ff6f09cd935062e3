# SPDX-License-Identifier: Apache-2.0
"""Reads mutated lists and TFRecords; started by tests/datasets/test_damaged_sources.py."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Iterator

import mutations

from mixer_tf.datasets.sources import opening

# What a message of ours begins with.
_OURS = ("csv: ", "tfrecord: ", "at least ", "splits ", "each ")


def write_mutations(kind: str, original: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Mutates the file, or for "example" the only record of a valid TFRecord file."""
    if kind != "example":
        yield from mutations.mutate(original, count, seed)
        return
    import tensorflow as tf

    for content in mutations.mutate(original, count, seed):
        with tf.io.TFRecordWriter(str(path)) as writer:
            for _ in range(3):
                writer.write(content)
        yield path.read_bytes()


def read(spec: str, content: bytes) -> str | None:
    path.write_bytes(content)
    try:
        source = opening.open_source(spec)
    except ValueError as error:
        text = str(error)
        is_clear = text.startswith(_OURS) and "\n" not in text and len(text) < 1500
        return None if is_clear else f"not a clear error: {text[:300]!r}"
    for split in source.splits:
        for shard in source.shards_of(split):
            for record in source.read(shard):
                if not record.problem and not record.encoded:
                    return f"neither image nor problem: {record}"
    return "".join(f"a note of two lines: {note!r}" for note in source.notes if "\n" in note)


if __name__ == "__main__":
    kind, count, seed = sys.argv[1], int(sys.argv[4]), int(sys.argv[5])
    original, path = map(pathlib.Path, sys.argv[2:4])
    spec = f"{'csv' if kind == 'csv' else 'tfrecord'}:{path}"
    contents = write_mutations(kind, original.read_bytes(), count, seed)
    mutations.report(contents, lambda content: read(spec, content))
