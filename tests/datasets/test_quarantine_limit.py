# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from mixer_tf.datasets import source_writing
from mixer_tf.datasets.quarantine_limit import QuarantineLimit
from mixer_tf.datasets.sources import opening


@pytest.mark.parametrize(
    ("text", "num_unusable", "num_images", "is_allowed"),
    [
        ("0", 0, 10, True),
        ("0", 1, 10, False),
        ("3", 3, 10, True),
        ("3", 4, 10_000, False),
        ("1%", 1, 100, True),
        ("1%", 2, 199, False),
        ("0.5 %", 1, 200, True),
        ("0.5%", 1, 199, False),
        ("0.57%", 57, 10_000, True),
        ("0.57%", 58, 10_000, False),
        ("100%", 10, 10, True),
        ("0%", 0, 0, True),
    ],
)
def test_a_number_and_a_share_are_exact(text, num_unusable, num_images, is_allowed):
    assert QuarantineLimit.parse(text).allows(num_unusable, num_images) == is_allowed


@pytest.mark.parametrize("text", ["0.01", "1.5", "-1", "101%", "one", "", "%", "5%%"])
def test_another_form_is_refused(text):
    with pytest.raises(ValueError, match=r"--max-quarantined must be a number .* got '"):
        QuarantineLimit.parse(text)


def test_reasons_are_counted_without_the_sizes_of_the_images(tmp_path):
    path = tmp_path / "quarantine.jsonl"
    reasons = ["3x3 pixels: too small", "2x9 pixels: too small", "empty file"]
    lines = [{"source": f"{i}.png", "reason": reason} for i, reason in enumerate(reasons)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ValueError) as raised:
        QuarantineLimit.parse("2").require(str(path), 3, is_kept=True)
    assert str(raised.value).splitlines() == [
        "at most 2 images may be unusable; 3 of 6 are, 50.00%. Repair or remove these images, or "
        "raise --max-quarantined.",
        "images  reason      such as",
        "2       too small   0.png",
        "1       empty file  2.png",
        f"All are listed in {path}.",
    ]


def test_a_training_without_tfx_has_the_same_limit(bad_folder, tmp_path):
    source = opening.open_source(f"folder:{bad_folder.path}")
    with pytest.raises(ValueError, match="at most 1% of the images may be unusable"):
        source_writing.write_source(source, str(tmp_path), limit=QuarantineLimit.parse("1%"))
    assert not (tmp_path / "dataset.json").exists()
    source_writing.write_source(source, str(tmp_path), limit=QuarantineLimit.parse("60%"))
    assert (tmp_path / "dataset.json").exists()
