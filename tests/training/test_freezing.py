# SPDX-License-Identifier: Apache-2.0
"""Frozen layers keep their weights bit for bit, also where a training is resumed and exported."""

import numpy as np
import pytest
import tensorflow as tf
from harness import make_mixer, weights_by_name
from test_train_step import compiled, fit

from mixer_tf import factory
from mixer_tf.export.loading import open_export
from mixer_tf.training import checkpointing, exporting, freezing, requirements, trainer
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.ema import averaged_weights
from mixer_tf.training.input.split import open_splits

STRONG = ["optimizer.weight_decay=0.3", "optimizer.ema=0.5", "optimizer.learning_rate=0.1"]
FROZEN = "stem,block_0,MixerBlock_1/token_mixing"
FROZEN_PREFIXES = ("stem/", "MixerBlock_0/", "MixerBlock_1/token_mixing/")


def frozen_and_changed(before, after) -> tuple[set[str], set[str]]:
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    return {name for name in before if name.startswith(FROZEN_PREFIXES)}, changed


@pytest.mark.parametrize("name", ["adam", "momentum"])
def test_neither_decay_nor_average_changes_frozen_weights(recipe, name):
    options = [*STRONG, f"optimizer.name={name}", "model.num_blocks=2"]
    model = compiled(recipe, *options, f"training.freeze={FROZEN}")
    before = weights_by_name(model)
    fit(model)
    frozen, changed = frozen_and_changed(before, weights_by_name(model))
    assert frozen and changed == set(before) - frozen
    with averaged_weights(model):
        frozen, changed = frozen_and_changed(before, weights_by_name(model))
        assert changed == set(before) - frozen
    slots = [variable for variable in model.optimizer.variables if "token_mixing" in variable.name]
    assert slots == []  # they need no memory


def test_a_pattern_that_matches_nothing_names_the_nearest_layers():
    with pytest.raises(ValueError, match="matches 'blok_1'. Did you mean block_1.*Layers: 'stem'"):
        freezing.freeze(make_mixer(), "stem, blok_1")
    with pytest.raises(ValueError, match=r"must leave weights to train; '\*' freezes all"):
        freezing.freeze(make_mixer(), "*")


def test_a_wrong_pattern_is_noticed_before_images_are_read(recipe):
    requirements.require_weights(recipe.override(["training.freeze=stem"]))
    with pytest.raises(ValueError, match="no layer with weights matches 'steam'"):
        requirements.require_weights(recipe.override(["training.freeze=steam"]))


def test_unfreezing_restores_the_order_of_the_weights(recipe):
    model = factory.from_recipe(recipe, 3)
    names = [weight.name for weight in model.weights]
    freezing.freeze(model, "MixerBlock_1/token_mixing")
    assert [weight.name for weight in model.weights] != names
    freezing.unfreeze(model)
    assert [weight.name for weight in model.weights] == names


class _Stop(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


@pytest.mark.slow
def test_frozen_weights_survive_warm_start_resume_and_export(
    recipe, dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr(checkpointing, "SAVE_SECONDS", -1.0, raising=False)
    frozen_recipe = recipe.override([*STRONG, f"training.freeze={FROZEN}"])
    splits = open_splits(dataset.folder, dataset.info)
    start = compiled(recipe, "model.num_blocks=2")
    before = weights_by_name(start)

    def train(folder, *callbacks):
        return trainer.fit(
            frozen_recipe,
            splits["train"],
            initial_weights=start.get_weights(),
            checkpoint_dir=str(tmp_path / folder),
            checkpoints=CheckpointOptions(steps=1),
            callbacks=callbacks,
            verbose=False,
        )

    undisturbed = train("a")
    with pytest.raises(KeyboardInterrupt):
        train("b", _Stop())
    resumed = train("b")
    assert resumed.first_step > 0
    exporting.export_fitted(resumed, list("abc"), str(tmp_path / "model"))
    exported = weights_by_name(open_export(str(tmp_path / "model")).model)
    frozen, changed = frozen_and_changed(before, exported)
    assert changed == set(before) - frozen
    for name, value in weights_by_name(undisturbed.model).items():
        np.testing.assert_allclose(exported[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
