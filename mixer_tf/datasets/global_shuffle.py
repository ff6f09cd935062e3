# SPDX-License-Identifier: Apache-2.0
"""A global shuffle of tf.Examples in two passes over files, independent of the number of workers.

First each input shard becomes a piece: its examples, sorted by the shard that they belong to. Then
each output shard reads its range of every piece. Shard and position of an example come from a hash
of its bytes and a seed, so that the files are the same however the work is divided. A worker holds
one shard in memory.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import struct
import uuid
from collections.abc import Iterable, Iterator

import numpy as np

from mixer_tf import storage
from mixer_tf.datasets import examples, shards

_LENGTH = struct.Struct("<Q")
# https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
_HEADER_SIZE, _CHECKSUM_SIZE = 12, 4
_FRAME_SIZE = _HEADER_SIZE + _CHECKSUM_SIZE
_OFFSET = np.dtype("<u8")


@dataclasses.dataclass(frozen=True)
class Shuffle:
    """The shuffle of one split.

    Attributes:
        folder: the Examples folder to write to; the pieces are stored in its `shards.work_folder`,
            which the caller removes.
        split: the split of the images.
        num_pieces: number of input shards.
        num_shards: number of output shards.
        seed: another seed gives another order; 0 or more.
    """

    folder: str
    split: str
    num_pieces: int
    num_shards: int
    seed: int = 0

    def write_piece(self, serialized: Iterable[bytes], index: int) -> None:
        """Writes the examples of one input shard, in any order, as a piece."""
        keyed = sorted((*self._key(example), example) for example in serialized)
        path = self._piece_path(index)
        storage.make_folder(os.path.dirname(path))
        sizes = np.zeros(self.num_shards + 1, _OFFSET)
        with (
            storage.replacing(path, concurrent=True) as partial,
            examples.open_writer(partial) as writer,
        ):
            for shard, _, example in keyed:
                writer.write(example)
                sizes[shard + 1] += len(example) + _FRAME_SIZE
        with storage.replacing(_offsets_path(path), concurrent=True) as partial:
            storage.write_bytes(partial, np.cumsum(sizes, dtype=_OFFSET).tobytes())

    def write_shard(self, index: int) -> int:
        """Writes one output shard from all pieces, and returns the number of its examples."""
        frames = [
            (self._key(frame[_HEADER_SIZE:-_CHECKSUM_SIZE]), frame)
            for piece in range(self.num_pieces)
            for frame in _frames(self._read_range(self._piece_path(piece), index))
        ]
        # Without the examples as a further key, which would be copied; equal hashes are equal ones.
        frames.sort(key=lambda item: item[0][1])
        path = examples.shard_path(self.folder, self.split, index, self.num_shards)
        storage.make_folder(os.path.dirname(path))
        partial = f"{self._piece_path(index)}-{uuid.uuid4().hex}"
        with storage.open_new(partial) as file:
            for _, frame in frames:  # not joined, which would need as much memory again
                file.write(frame)
        storage.rename_file(partial, path)
        return len(frames)

    def _key(self, example: bytes) -> tuple[int, bytes]:
        """The index of the shard, and the position in it."""
        digest = hashlib.sha256(_LENGTH.pack(self.seed) if self.seed else b"")
        digest.update(example)
        found = digest.digest()
        return int.from_bytes(found[:8], "big") % self.num_shards, found[8:]

    def _piece_path(self, index: int) -> str:
        return os.path.join(shards.work_folder(self.folder), f"{self.split}-{index:05d}")

    def _read_range(self, path: str, shard: int) -> bytes:
        """The frames of one shard in one piece."""
        offsets = storage.read_range(_offsets_path(path), shard * _OFFSET.itemsize, 16)
        start, end = np.frombuffer(offsets, _OFFSET).tolist()
        return storage.read_range(path, start, end - start)


def _offsets_path(path: str) -> str:
    return f"{path}.offsets"


def _frames(content: bytes) -> Iterator[bytes]:
    """The records with their lengths and checksums, which are copied and not computed again."""
    at = 0
    while at < len(content):
        end = at + _LENGTH.unpack_from(content, at)[0] + _FRAME_SIZE
        yield content[at:end]
        at = end
