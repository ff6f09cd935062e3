# SPDX-License-Identifier: Apache-2.0
"""A changed file makes the steps that depend on it run again, and no others."""

import dataclasses

from PIL import Image

from mixer_tf import recipes
from pipeline.configs import PipelineConfig
from pipeline.fingerprints import fingerprint_run


def _folder(path, color):
    for name in ("cat", "dog"):
        (path / name).mkdir(parents=True, exist_ok=True)
        for index in range(3):
            Image.new("RGB", (16, 16), color).save(path / name / f"{index}.png")
    return f"folder:{path}"


def _config(source: str, *test_sets: str) -> PipelineConfig:
    return PipelineConfig(
        name="n",
        root="/r",
        source=source,
        recipe=recipes.get("digits"),
        downstream_test_sets=test_sets,
    )


def test_same_state_gives_the_same_fingerprints(tmp_path):
    config = _config(_folder(tmp_path / "a", "red"))
    assert fingerprint_run(config) == fingerprint_run(config)


def test_changed_image_changes_the_example_gen_only(tmp_path):
    config = _config(_folder(tmp_path / "a", "red"))
    before = fingerprint_run(config)
    Image.new("RGB", (17, 16), "blue").save(tmp_path / "a" / "cat" / "new.png")
    after = fingerprint_run(config)
    assert after.image_example_gen != before.image_example_gen
    assert dataclasses.replace(after, image_example_gen=before.image_example_gen) == before


def test_downstream_test_set_changes_the_deduplicator_only(tmp_path):
    source = _folder(tmp_path / "a", "red")
    before = fingerprint_run(_config(source))
    after = fingerprint_run(_config(source, _folder(tmp_path / "b", "blue")))
    assert after.deduplicator != before.deduplicator
    assert dataclasses.replace(after, deduplicator=before.deduplicator) == before


def test_changed_weights_change_the_trainer_only(tmp_path):
    config = _config(_folder(tmp_path / "a", "red"))
    weights = tmp_path / "weights.npz"
    weights.write_bytes(b"1")
    recipe = config.recipe.override([f"model.weights={weights}"])
    config = dataclasses.replace(config, recipe=recipe)
    before = fingerprint_run(config)
    weights.write_bytes(b"22")
    after = fingerprint_run(config)
    assert after.trainer != before.trainer
    assert dataclasses.replace(after, trainer=before.trainer) == before
