# SPDX-License-Identifier: Apache-2.0
"""A field of a recipe that nothing reads is a knob that does nothing: this test names it."""

import dataclasses
import os
import sys

import pytest
import tensorflow as tf

from mixer_tf import factory, recipes
from mixer_tf.export import signatures
from mixer_tf.recipes import overrides, schema
from mixer_tf.training import compilation, length
from mixer_tf.training.input import batches
from mixer_tf.training.input.split import Split

READERS = (
    os.path.dirname(compilation.__file__),
    factory.__file__,
    os.path.dirname(signatures.__file__),
)


@pytest.fixture
def reads(monkeypatch):
    """Collects "section.field" of every field that the code of the training reads."""
    found = set()

    def watching(section):
        def read(self, name):
            if sys._getframe(1).f_code.co_filename.startswith(READERS):
                found.add(f"{section}.{name}")
            return object.__getattribute__(self, name)

        return read

    for section, options in schema.SECTIONS.items():
        monkeypatch.setattr(options, "__getattribute__", watching(section), raising=False)
    return found


def train_a_little(recipe, files):
    """Everything that a training does with its recipe, but for the training itself."""
    split = Split(tuple(files), 2, 2)
    model = factory.from_recipe(recipe, 2)
    length.training_length(recipe.training, 2)
    compilation.compile_model(model, recipe, 1, tf.distribute.get_strategy())
    batches.training_batches(split, recipe)
    batches.evaluation_batches(split, recipe)
    signatures.ServedModel(model, recipe, ["a", "b"])


def test_every_field_is_read(reads, tmp_path):
    path = str(tmp_path / "data.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        writer.write(b"")
    tiny = recipes.get("digits").override(
        ["model.num_blocks=1", "model.hidden_dim=8", "data.mixup=0.5"]
    )
    train_a_little(tiny, [path])
    other = ["optimizer.name=momentum", "data.train_crop=inception", "data.train_shorter_side=9"]
    train_a_little(tiny.override(other), [path])
    assert sorted(set(overrides.field_types()) - reads) == []


def test_copying_or_checking_a_field_is_not_reading_it(reads):
    recipe = recipes.get("digits").override(["optimizer.momentum=0.5"])
    assert dataclasses.asdict(recipe)["optimizer"]["momentum"] == 0.5
    assert recipe.optimizer.momentum == 0.5
    assert not reads
