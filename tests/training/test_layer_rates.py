# SPDX-License-Identifier: Apache-2.0
"""Learning rates by layer: the factors of the weights, and what a step makes of them."""

import numpy as np
import pytest
from harness import make_mixer, tiny_recipe, weights_by_name
from test_train_step import LABELS, PIXELS, compiled

from mixer_tf.recipes.schema import OptimizerOptions
from mixer_tf.training import freezing, layer_rates, requirements

RATES = "stem=0.1, block_0=0.5,MixerBlock_1/token_mixing=2"
FACTORS = {"stem/": 0.1, "MixerBlock_0/": 0.5, "MixerBlock_1/token_mixing/": 2.0}


def factor_of(name: str) -> float:
    return next((factor for start, factor in FACTORS.items() if name.startswith(start)), 1.0)


def test_the_factors_are_those_of_the_layers_and_what_is_in_them():
    model = make_mixer()
    found = layer_rates.weight_factors(model, RATES)
    assert {name.removesuffix(":0"): factor for name, factor in found.items()} == {
        name: factor_of(name) for name in weights_by_name(model) if factor_of(name) != 1
    }


@pytest.mark.parametrize("name", ["adam", "momentum"])
def test_a_step_changes_each_weight_by_the_factor_of_its_layer(recipe, name):
    """By what it changes without factors: gradient, clipping and moments are the same."""
    options = [f"optimizer.name={name}", "model.num_blocks=2", "optimizer.learning_rate=0.1"]
    options += ["optimizer.weight_decay=0.3", "training.accumulation_steps=2"]
    changes = []
    for rates in ([], [f"optimizer.layer_rates={RATES}"]):
        model = compiled(recipe, *options, *rates)
        before = weights_by_name(model)
        model.train_on_batch(PIXELS, LABELS)
        after = weights_by_name(model)
        changes.append({name: after[name] - before[name] for name in before})
    plain, scaled = changes
    moved = {factor_of(name) for name, change in plain.items() if np.abs(change).max() > 1e-3}
    assert moved == {1.0, *FACTORS.values()}
    for weight, change in plain.items():
        expected = factor_of(weight) * change
        np.testing.assert_allclose(scaled[weight], expected, rtol=1e-4, atol=1e-6, err_msg=weight)


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ("stem=0.1,blok_1=0.1", "no layer with weights matches 'blok_1'. Did you mean block_1"),
        (
            "MixerBlock_*=0.1,block_1=0.5",
            r"both 'MixerBlock_\*' and 'block_1' match that of MixerBlock_1/",
        ),
    ],
)
def test_a_pattern_must_name_layers_of_its_own(recipe, rates, words):
    """Noticed before images are read."""
    with pytest.raises(ValueError, match=f"optimizer.layer_rates must .*{words}"):
        requirements.require_weights(recipe.override([f"optimizer.layer_rates={rates}"]))


def test_a_frozen_layer_has_no_learning_rate():
    model = make_mixer()
    freezing.freeze(model, "stem")
    with pytest.raises(ValueError, match="training.freeze freezes all that match 'stem'"):
        layer_rates.weight_factors(model, "stem=0.1")
    assert "MixerBlock_0/token_mixing/Dense_0/kernel:0" in layer_rates.weight_factors(model, "*=2")


@pytest.mark.parametrize(
    "text", ["", " ,", "stem", "=0.1", "stem=", "stem=fast", "stem=-1", "stem=nan", "a=1,a=2"]
)
def test_what_is_not_patterns_with_factors_is_refused(text):
    with pytest.raises(ValueError, match="layer_rates must be patterns of layers, each once"):
        OptimizerOptions(layer_rates=text)


def test_a_factor_of_zero_is_refused_with_what_to_use():
    with pytest.raises(ValueError, match="optimizer.layer_rates must be .*above 0; training.freez"):
        tiny_recipe().override(["optimizer.layer_rates=stem=0"])
