# SPDX-License-Identifier: Apache-2.0
import hashlib
import os

import pytest
import tensorflow as tf

from mixer_tf import storage
from mixer_tf.datasets import examples, shards
from mixer_tf.datasets.global_shuffle import Shuffle

EXAMPLES = [f"example {i}".encode() * (i % 7 + 1) for i in range(100)]


def shuffle(folder, inputs: list[list[bytes]], num_shards: int, seed: int = 0) -> list[list[bytes]]:
    """The examples of each output shard, as TensorFlow reads them."""
    whole = Shuffle(str(folder), "train", len(inputs), num_shards, seed)
    for index in reversed(range(len(inputs))):
        whole.write_piece(inputs[index], index)
    counts = [whole.write_shard(index) for index in range(num_shards)]
    storage.remove_folder(shards.work_folder(str(folder)))
    assert os.listdir(folder) == ["Split-train"]
    paths = examples.list_shards(str(folder), "train")
    found = [list(tf.data.TFRecordDataset(path).as_numpy_iterator()) for path in paths]
    assert [len(shard) for shard in found] == counts
    return found


def expected(num_shards: int, seed: bytes = b"") -> list[list[bytes]]:
    """Worked out from the definition: the first 8 bytes of the hash, then the others."""
    shards = [[] for _ in range(num_shards)]
    for example in EXAMPLES:
        digest = hashlib.sha256(seed + example).digest()
        shards[int.from_bytes(digest[:8], "big") % num_shards].append((digest[8:], example))
    return [[example for _, example in sorted(shard)] for shard in shards]


@pytest.mark.parametrize("sizes", [[100], [1, 99], [50, 0, 50], [30, 30, 40]])
def test_the_result_is_the_same_however_the_input_is_divided(tmp_path, sizes):
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    inputs = [EXAMPLES[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    assert shuffle(tmp_path, inputs, 4) == expected(4)


def test_a_seed_changes_the_order_and_keeps_the_examples(tmp_path):
    found = shuffle(tmp_path, [EXAMPLES], 3, seed=5)
    assert found == expected(3, b"\x05" + bytes(7))
    assert found != expected(3)
    assert sorted(sum(found, [])) == sorted(EXAMPLES)


def test_equal_examples_and_empty_shards_are_kept(tmp_path):
    found = shuffle(tmp_path, [[b"same"], [], [b"same", b"same"]], 2)
    assert sorted(map(len, found)) == [0, 3]


def test_a_piece_that_is_truncated_is_an_error(tmp_path):
    whole = Shuffle(str(tmp_path), "train", 1, 1)
    whole.write_piece(EXAMPLES, 0)
    (piece,) = (tmp_path / "partial-work").glob("train-00000")
    piece.write_bytes(piece.read_bytes()[:-1])
    with pytest.raises(OSError, match="it is truncated"):
        whole.write_shard(0)
