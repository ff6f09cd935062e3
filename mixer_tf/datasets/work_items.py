# SPDX-License-Identifier: Apache-2.0
"""The work items of a source in pieces of a bounded size, and the state of the data of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from mixer_tf import storage
from mixer_tf.datasets import files
from mixer_tf.datasets.sources import tfds, tfrecord
from mixer_tf.datasets.sources.source import Source

# Images of one TFDS shard that are read at a time; others are skipped over, so not fewer.
_MAX_IMAGES = 4096


def list_pieces(source: Source, splits: Iterable[str]) -> list[Any]:
    """Returns the work items of some splits; those of large TFDS shards are divided."""
    shards = [shard for split in splits for shard in source.shards_of(split)]
    return [piece for shard in shards for piece in _pieces(shard)]


def signature(source: Source, work_item: Any) -> str:
    """Returns 64 hexadecimal digits that change when the images of a work item may have changed.

    They depend on the names, sizes and times of its files, on the names of the classes, and on how
    training images are held out. Where the files of a work item are not known, those of the whole
    source count.

    Args:
        source: the open source.
        work_item: one of `list_pieces`.
    """
    digest = hashlib.sha256()
    for part in (source.spec, *source.class_names, _rule(source), repr(work_item)):
        digest.update(len(part).to_bytes(8, "big") + part.encode("utf-8", "surrogateescape"))
    for line in _file_signatures(source, work_item):
        digest.update(b"\n" + line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _pieces(shard: Any) -> Iterator[Any]:
    if not isinstance(shard, tfds.Shard):
        yield shard
        return
    for first in range(shard.first, shard.end, _MAX_IMAGES):
        end = min(first + _MAX_IMAGES, shard.end)
        yield tfds.Shard(shard.tfds_split, first, end, shard.split)


def _rule(source: Source) -> str:
    """How the reader divides the images of a shard among splits, as far as it does."""
    return repr(getattr(source.reader, "rule", ""))


def _file_signatures(source: Source, work_item: Any) -> Iterable[str]:
    if isinstance(work_item, files.FileChunk) and source.root is not None:
        paths = (storage.resolve(source.root, path) for path in work_item.paths)
        return map(files.file_signature, paths)
    if isinstance(work_item, tfrecord.Shard):
        return [files.file_signature(work_item.path)]
    return source.file_signatures()
