# SPDX-License-Identifier: Apache-2.0
"""--deduplicate=mark: test images that leaked into training are evaluated by themselves."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from PIL import Image

from mixer_tf import features
from mixer_tf.features import ImageRecord
from pipeline.configs import SCHEMA_FILE

ROOT = pathlib.Path(__file__).parents[2]


def random_image(seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((32, 32), Image.Resampling.BICUBIC)


def test_the_record_keeps_its_mark_and_unmarked_ones_are_as_before():
    record = ImageRecord(b"x", "PNG", 1, "cat", "/a.png", 3, 4)
    for mark in (None, "", "/b \udce9.png"):
        marked = ImageRecord(b"x", "PNG", 1, "cat", "/a.png", 3, 4, duplicate_of=mark)
        assert ImageRecord.from_example(marked.to_example()) == marked
        if mark is not None:
            assert features.mark_example(record.to_example(), mark) == marked.to_example()
            assert features.mark_example(marked.to_example(), mark) == marked.to_example()
    assert b"leaked" not in record.to_example() and b"duplicate_of" not in record.to_example()


@pytest.mark.parametrize("marked", [True, False])
def test_the_schema_accepts_images_with_and_without_marks(marked):
    rows = pd.DataFrame(
        {
            features.FORMAT: ["PNG"] * 4,
            features.LABEL: [0, 1, 0, 1],
            features.CLASS_NAME: ["cat", "dog"] * 2,
            features.WIDTH: [32] * 4,
            features.HEIGHT: [32] * 4,
            **({features.DUPLICATE_OF: ["", "/a.png", "", ""]} if marked else {}),
            **({features.LEAKED: [0, 1, 0, 0]} if marked else {}),
        }
    )
    statistics = tfdv.generate_statistics_from_dataframe(rows)
    anomalies = tfdv.validate_statistics(statistics, tfdv.load_schema_text(SCHEMA_FILE))
    assert not anomalies.anomaly_info


@pytest.mark.slow
@pytest.mark.e2e
def test_the_summary_shows_the_accuracy_with_and_without_leaked_images(tmp_path):
    data = tmp_path / "data"
    for split, count, first in (("train", 60, 0), ("val", 8, 1000), ("test", 20, 2000)):
        for index in range(count):
            path = data / split / ("cat", "dog")[index % 2] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            random_image(first + index).save(path)
    for index in range(4):
        copy = data / "train" / ("cat", "dog")[index % 2] / f"copy-{index}.jpg"
        random_image(2000 + index).save(copy, quality=90)
    root = tmp_path / "root"
    given = [f"--source=folder:{data}", f"--root={root}", "--recipe=digits", "--min-accuracy=0"]
    given += ["--deduplicate=mark", "--set", "training.epochs=1"]
    command = [sys.executable, "-m", "pipeline.local_runner", *given]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((root / "summary.json").read_text())
    assert summary["pushed_model"] and summary["duplicates_removed"] == 0
    assert summary["examples"] == {"train": 64, "eval": 8, "test": 20}
    leaked = summary["leaked"]
    assert (leaked["leaked"]["example_count"], leaked["clean"]["example_count"]) == (4, 16)
    correct = sum(part["example_count"] * part["accuracy"] for part in leaked.values())
    assert correct == pytest.approx(20 * summary["metrics"]["accuracy"])
    (page,) = root.glob("Evaluator/evaluation/*/evaluation.html")
    assert summary["evaluation_page"] == str(page)
    assert f"\n  evaluation   {page}\n" in done.stdout
    found = json.loads(page.with_suffix(".json").read_text("utf-8"))
    for title, part in (("with a", "leaked"), ("without a", "clean")):
        shown = found["slices"][f"{title} duplicate in training"]
        assert shown["images"] == f"{leaked[part]['example_count']}"
        assert shown["top-1"] == f"{leaked[part]['accuracy']:.4f}"
    assert sum(sum(row.values()) for row in found["confusion"].values()) == 20
    assert sum(each["images"] for each in found["calibration"]["bins"]) == 20
    assert "on 4 test images that have a duplicate in training; top-1 " in done.stdout
