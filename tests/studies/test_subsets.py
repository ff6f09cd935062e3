# SPDX-License-Identifier: Apache-2.0
"""Nested subsets of the training images: chosen by their ids alone, and counted as they are."""

import hashlib
import os

import numpy as np
import pytest

from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.splits import hash_fraction
from mixer_tf.features import ImageRecord
from mixer_tf.studies import subsets

IDS = [f"cat/{number:04d}.jpg" for number in range(4000)]


def members(share: float, seed: int = 0, ids=IDS) -> set[str]:
    return {image_id for image_id in ids if subsets.is_member(image_id, share, seed)}


def test_the_first_48_bits_of_sha256_decide():
    for image_id in IDS[:50]:
        digest = hashlib.sha256(b"subset 3 " + image_id.encode()).hexdigest()
        assert subsets.is_member(image_id, 0.3, 3) == (int(digest[:12], 16) < 0.3 * 2**48)


def test_a_smaller_subset_is_part_of_every_larger_one_and_has_its_share():
    shares = (0.03, 0.1, 0.3, 1.0)
    found = [members(share) for share in shares]
    for smaller, larger in zip(found, found[1:], strict=False):
        assert smaller < larger
    for share, subset in zip(shares, found, strict=True):
        deviation = np.sqrt(len(IDS) * share * (1 - share))
        assert abs(len(subset) - share * len(IDS)) <= 3 * deviation


def test_further_images_change_nothing_and_another_seed_gives_other_images():
    more = [*IDS, *(f"dog/{number}.jpg" for number in range(500))]
    assert members(0.1, ids=more) & set(IDS) == members(0.1)
    both = members(0.1) & members(0.1, seed=1)
    assert len(both) < 0.02 * len(IDS)  # 1 % by chance


def test_images_that_are_not_held_out_have_the_same_share():
    """Evaluation and test images have the lowest hashes of all ids."""
    train = [image_id for image_id in IDS if hash_fraction(image_id) >= 0.2]
    assert len(members(0.1, ids=train)) == pytest.approx(0.1 * len(train), rel=0.2)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """200 training images of two classes in three shards, without pixels."""
    folder = str(tmp_path_factory.mktemp("data"))
    records = [
        ImageRecord(b"x", "PNG", n % 2, "ab"[n % 2], f"/photos/{'ab'[n % 2]}/{n}.png", 1, 1)
        for n in range(200)
    ]
    examples.write(records, folder, "train", 3)
    info = DatasetInfo("folder:/photos", ("a", "b"), {"train": {"a": 100, "b": 100}}, ("a note",))
    info.write(folder)
    return folder, info, records


def test_a_subset_is_written_with_its_counts_and_unchanged_records(data, tmp_path):
    folder, info, records = data
    target = str(tmp_path / "subset")

    def relative(path: str) -> str:
        return path.removeprefix("/photos/")

    subset = subsets.write_subset(folder, info, target, 0.3, seed=1, id_of=relative)
    expected = [r for r in records if subsets.is_member(relative(r.source), 0.3, 1)]
    shards = examples.list_shards(target, "train")
    found = [record for shard in shards for record in examples.read_records(shard)]
    assert sorted(r.source for r in found) == sorted(r.source for r in expected)
    assert {r.source: r for r in found} == {r.source: r for r in expected}
    assert subset.counts == {
        "train": {name: sum(r.class_name == name for r in expected) for name in "ab"}
    }
    assert subset.class_names == ("a", "b") and DatasetInfo.read(target) == subset
    modified = os.path.getmtime(shards[0])
    assert subsets.write_subset(folder, info, target, 0.3, seed=1, id_of=relative) == subset
    assert os.path.getmtime(shards[0]) == modified


def test_a_share_of_no_image_is_refused(data, tmp_path):
    folder, info, _ = data
    with pytest.raises(ValueError, match="at least one image; 1e-09 of the 200 training images"):
        subsets.write_subset(folder, info, str(tmp_path / "none"), 1e-9)
    assert not (tmp_path / "none" / "dataset.json").exists()
