# SPDX-License-Identifier: Apache-2.0
"""A field of a recipe that nothing reads has no effect: this test names it."""

import dataclasses
import os
import sys

import pytest
import tensorflow as tf

from mixer_tf import factory, models, recipes
from mixer_tf.export import signatures
from mixer_tf.models import registry
from mixer_tf.recipes import ModelOptions, overrides, schema
from mixer_tf.training import compilation, length
from mixer_tf.training.input import batches
from mixer_tf.training.input.split import Split

READERS = (
    os.path.dirname(compilation.__file__),
    factory.__file__,
    os.path.dirname(models.__file__),
    os.path.dirname(signatures.__file__),
)

# A small model of each family; together they take every path that reads a field.
MODELS = {
    "mixer": {
        "name": "mixer",
        **dict(patch_size=4, num_blocks=1, hidden_dim=8, tokens_mlp_dim=4, channels_mlp_dim=4),
    },
    "vit": {
        "name": "vit",
        **dict(patch_size=4, num_blocks=1, hidden_dim=8, channels_mlp_dim=4, num_heads=2),
        "representation_size": 4,
    },
    "bit": {"name": "bit", **dict(num_units=(1,), width=32)},
}
# The paper's own Mixer reads no field of an ablation.
ABLATIONS = ["model.untied=true", "model.channel_groups=2", "model.channel_views=true"]
VARIANTS = {"mixer": [*ABLATIONS, "model.pyramid=8"]}


@pytest.fixture
def reads(monkeypatch):
    """Collects (class, field) of every field that the code of the training reads."""
    found = set()

    def watch(options):
        def read(self, name):
            frame = sys._getframe(1)
            if frame.f_code.co_filename.startswith(READERS) and not _is_check(frame):
                found.add((options, name))
            return object.__getattribute__(self, name)

        monkeypatch.setattr(options, "__getattribute__", read, raising=False)

    configs = [family.config_class for family in registry.FAMILIES.values()]
    for options in (*schema.SECTIONS.values(), *configs):
        watch(options)
    return found


def _is_check(frame) -> bool:
    """Whether a config compares its own fields with rules or defaults: that is not reading them."""
    while frame:
        if frame.f_code.co_name in ("__post_init__", "ablations", "_check_number_of_parameters"):
            return True
        frame = frame.f_back
    return False


def field_reads(recipe, reads) -> set[str]:
    """Returns "section.field" of every field that was read, for the family of the recipe."""
    found = set()
    for section, options in recipe.sections().items():
        found |= {f"{section}.{name}" for cls, name in reads if cls is type(options)}
    config = recipe.model.family.config_class
    return found | {f"model.{name}" for cls, name in reads if cls is config}


def train_a_little(recipe, files):
    """Everything that a training does with its recipe, except the training itself."""
    split = Split(tuple(files), 2, 2)
    model = factory.from_recipe(recipe, 2)
    length.training_length(recipe.training, 2)
    compilation.compile_model(model, recipe, 1, tf.distribute.get_strategy())
    batches.training_batches(split, recipe)
    batches.evaluation_batches(split, recipe)
    signatures.ServedModel(model, recipe, ["a", "b"])


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_every_field_is_read(reads, tmp_path, family):
    path = str(tmp_path / "data.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        writer.write(b"")
    tiny = recipes.get("digits").replace(model=ModelOptions(image_size=16, **MODELS[family]))
    varied = [
        "data.mixup=0.5",
        "data.cutmix=0.5",
        "data.randaugment_layers=1",
        "data.color_jitter=0.1",
    ]
    train_a_little(tiny.override(varied), [path])
    other = ["optimizer.name=momentum", "data.train_crop=inception", "data.train_shorter_side=9"]
    train_a_little(tiny.override([*other, *VARIANTS.get(family, [])]), [path])
    assert sorted(set(overrides.field_types(tiny.sections())) - field_reads(tiny, reads)) == []


def test_copying_or_checking_a_field_is_not_reading_it(reads):
    recipe = recipes.get("digits").override(["optimizer.momentum=0.5", "model.dropout=0.5"])
    assert dataclasses.asdict(recipe)["optimizer"]["momentum"] == 0.5
    assert recipe.optimizer.momentum == 0.5
    assert recipe.model.config(2).dropout == 0.5
    assert not field_reads(recipe, reads)
