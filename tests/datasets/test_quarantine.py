# SPDX-License-Identifier: Apache-2.0
"""Where nothing is left to train on, the message itself holds the reasons."""

import pytest

from mixer_tf.datasets import validation
from mixer_tf.datasets.quarantine import require_training_images
from mixer_tf.features import ImageRecord


def write(path, *rejected: tuple[str, str, str]) -> str:
    """Writes (split, reason, source) as lines of the quarantine file."""
    lines = [
        validation.to_line(ImageRecord(b"", "", None, "cat", source, 0, 0), split, reason) + "\n"
        for split, reason, source in rejected
    ]
    path.write_text("".join(lines))
    return str(path)


def test_commonest_reasons_come_first_with_an_example_each(tmp_path):
    reasons = ["b"] * 2 + ["a"] * 9 + ["c", "d", "e"]
    rejected = [("train", f"reason {r}", f"{n}.jpg") for n, r in enumerate(reasons)]
    file = write(tmp_path / "q.jsonl", *rejected, ("test", "reason b", "x.jpg"))
    with pytest.raises(ValueError) as caught:
        require_training_images("folder:pets", {"train": 0, "test": 3}, file, is_kept=True)
    assert str(caught.value) == (
        "at least one training image of folder:pets must be usable; none of 14 is: "
        "9 × reason a, such as 2.jpg; 2 × reason b, such as 0.jpg; 1 × reason c, such as 11.jpg; "
        f"and 2 other reasons. All are listed in {file}."
    )


def test_a_file_that_is_removed_is_not_named(tmp_path):
    file = write(tmp_path / "q.jsonl", ("train", "no label", "0.jpg"))
    with pytest.raises(ValueError, match=r"1 × no label, such as 0\.jpg\.$"):
        require_training_images("csv:list.csv", {"train": 0}, file, is_kept=False)


@pytest.mark.parametrize(
    ("usable", "found"), [({"eval": 1200, "test": 3}, "1,200 eval, 3 test"), ({}, "none")]
)
def test_a_source_without_a_train_split_is_told_apart(tmp_path, usable, found):
    file = write(tmp_path / "q.jsonl", ("test", "no label", "0.jpg"))
    with pytest.raises(ValueError, match=f"a training requires a train split .* has {found}"):
        require_training_images("tfds:x", usable, file, is_kept=True)


def test_one_usable_training_image_is_enough(tmp_path):
    require_training_images("tfds:x", {"train": 1}, str(tmp_path / "not read"), is_kept=True)
