# SPDX-License-Identifier: Apache-2.0
"""The shards that `mixer train` writes: their sizes, their order, and what a killed call leaves."""

import os

from mixer_tf.datasets import examples, shards, source_writing
from mixer_tf.datasets.sources import opening
from mixer_tf.features import TRAIN


def sources_in_order(folder, split: str) -> list[list[str]]:
    """The images of each shard."""
    paths = examples.list_shards(str(folder), split)
    return [[record.source for record in examples.read_records(path)] for path in paths]


def test_several_shards_of_training_images_are_shuffled_and_others_keep_their_order(
    image_folder, tmp_path, monkeypatch
):
    source = opening.open_source(f"folder:{image_folder}")
    source_writing.write_source(source, str(tmp_path / "one"))
    monkeypatch.setattr(shards, "MAX_IMAGES", 7)
    info = source_writing.write_source(source, str(tmp_path / "several"))
    for split in source.splits:
        expected = [r.source for item in source.shards_of(split) for r in source.read(item)]
        assert sources_in_order(tmp_path / "one", split) == [expected]
        found = sources_in_order(tmp_path / "several", split)
        parts = [expected[n : n + 7] for n in range(0, len(expected), 7)]
        if split == TRAIN:
            assert sorted(sum(found, [])) == sorted(expected)
            assert all(len({*shard} & {*part}) < 7 for shard in found for part in parts)
        else:
            assert found == parts
        assert info.examples[split] == len(expected)
    assert len(sources_in_order(tmp_path / "several", TRAIN)) > 2
    assert shards.count_shards(info.examples[TRAIN], 0) == len(
        sources_in_order(tmp_path / "several", TRAIN)
    )
    splits = [f"Split-{split}" for split in source.splits]
    assert sorted(os.listdir(tmp_path / "one")) == sorted(
        [*splits, "dataset.json", "quarantine.jsonl"]
    )


def test_shards_that_a_killed_call_has_left_are_not_read(image_folder, tmp_path):
    """Such as those of an earlier version, which always wrote four."""
    source = opening.open_source(f"folder:{image_folder}")
    examples.write_shard([b"left"], str(tmp_path), TRAIN, 3, 4)
    work = shards.work_folder(str(tmp_path))
    os.makedirs(work)
    open(os.path.join(work, "train-00000-00000"), "w").close()
    info = source_writing.write_source(source, str(tmp_path))
    (found,) = sources_in_order(tmp_path, TRAIN)
    assert len(found) == info.examples[TRAIN]
    assert not os.path.exists(work)
