# SPDX-License-Identifier: Apache-2.0
"""Drifted data stop the push of the local pipeline, until they are allowed."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]


def write_images(folder: pathlib.Path, first: int, count: int, side: int) -> None:
    """Noisy images: those of cat are bright."""
    for index in range(first, first + count):
        name = ("cat", "dog")[index % 2]
        (folder / name).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 120, (side, side, 3), dtype=np.uint8)
        pixels += 130 * np.uint8(name == "cat")
        Image.fromarray(pixels).save(folder / name / f"{index}.png")


def run(folder: pathlib.Path, root: pathlib.Path, *arguments: str) -> dict:
    given = [f"--source=folder:{folder}", f"--root={root}", "--recipe=digits", "--min-accuracy=0"]
    given += ["--deduplicate=off", "--set", "training.epochs=1", *arguments]
    subprocess.run([sys.executable, "-m", "pipeline.local_runner", *given], cwd=ROOT, check=True)
    return json.loads((root / "summary.json").read_text())


@pytest.mark.slow
@pytest.mark.e2e
def test_drifted_images_stop_the_push_until_they_are_allowed(tmp_path):
    images, root = tmp_path / "images", tmp_path / "root"
    write_images(images, 0, 300, 16)
    first = run(images, root)
    assert first["pushed_model"] and not [note for note in first["notes"] if "drift" in note]

    write_images(images, 300, 300, 64)
    second = run(images, root)
    assert second["pushed_model"] is None
    assert second["reason"].startswith(
        "drift in train: image/height: Jensen-Shannon divergence 1.00"
    )
    assert "image/width: Jensen-Shannon divergence 1.00" in second["reason"]
    assert second["reason"].endswith("(--allow-drift accepts these data)")

    third = run(images, root, "--allow-drift")
    assert third["pushed_model"]
    assert any(note.startswith("drift is allowed: image/height") for note in third["notes"])
