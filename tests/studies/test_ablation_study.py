# SPDX-License-Identifier: Apache-2.0
"""The ablation study: each variant makes one change, and the table compares equal seeds."""

import pytest

from mixer_tf import recipes
from mixer_tf.models import costs
from mixer_tf.studies import ablation_variants, ablations
from mixer_tf.studies.ablation_variants import OF_TOKEN_MIXING, VARIANTS, changed, make_trials
from mixer_tf.studies.measurement import Measurement

RECIPE = recipes.get("cifar10").override(["optimizer.ema=0.99"])


@pytest.mark.parametrize(
    ("variant", "fields"),
    [
        ("unchanged", {}),
        ("untied", {"untied": True}),
        ("channel_groups", {"channel_groups": 2}),
        ("channel_views", {"channel_groups": 2, "channel_views": True}),
        ("pyramid", {"pyramid": (64, 32, 32, 32)}),  # 4 blocks; 3 and 4 get half of the tokens
    ],
)
def test_a_variant_of_token_mixing_changes_the_model_alone(variant, fields):
    found = changed(RECIPE, variant)
    assert found.replace(model=RECIPE.model) == RECIPE
    own = {k: v for k, v in found.model.fields.items() if k not in RECIPE.model.fields}
    assert own == fields
    config = found.model.config(10)
    assert [config.tokens(block)[0] for block in range(4)] == (
        [64, 64, 32, 32] if variant == "pyramid" else [64] * 4
    )


def test_the_variants_of_the_paper_for_mixer_s32_are_its_recipes():
    base = recipes.get("pretrain_jft_s32")
    for variant in OF_TOKEN_MIXING[1:]:
        assert changed(base, variant).model == recipes.get(f"ablation_{variant}").model


def test_untying_multiplies_the_parameters_of_token_mixing_by_the_channels():
    plain, untied = (
        costs.count_parameters(changed(RECIPE, name).model.config(10))
        for name in ("unchanged", "untied")
    )
    mlp = (64 * 64 + 64) * 2
    assert untied - plain == 4 * (RECIPE.model.fields["hidden_dim"] - 1) * mlp


@pytest.mark.parametrize("variant", ["mixup", "polyak", "inception_crop"])
def test_a_variant_of_the_training_keeps_the_model(variant):
    found = changed(RECIPE, variant)
    assert found.model == RECIPE.model and found != RECIPE
    assert variant in VARIANTS and variant not in OF_TOKEN_MIXING


@pytest.mark.parametrize(
    ("recipe", "variant", "message"),
    [
        (RECIPE, "x", "a variant must be one of unchanged, untied, .*; got 'x'"),
        (recipes.get("cifar10_bit"), "untied", "must have a Mixer without ablations; got.*'bit'"),
        (recipes.get("ablation_untied"), "pyramid", "got the model 'mixer_s32' with untied"),
        (RECIPE.override(["data.mixup=0.5"]), "mixup", "'mixup' does not, because.*mixup=0.5"),
        (RECIPE.override(["model.patch_size=32"]), "pyramid", "at least 2 patches; the model has"),
        (RECIPE.override(["model.hidden_dim=95"]), "channel_groups", "must divide hidden_dim"),
    ],
)
def test_what_is_not_possible_is_refused(recipe, variant, message):
    with pytest.raises(ValueError, match=message):
        changed(recipe, variant)


def test_each_seed_trains_each_variant_once():
    trials = make_trials(RECIPE, ("unchanged", "untied"), (0, 7), Measurement(shots=1))
    assert [(t.settings, t.recipe.training.seed) for t in trials] == [
        ({"variant": variant, "seed": seed}, seed)
        for seed in (0, 7)
        for variant in ("unchanged", "untied")
    ]
    assert trials[0].measured == {"evaluations": 20, "shots": 1, "seeds": [0, 1, 2]}
    own = make_trials(RECIPE.override(["training.seed=3"]), ("unchanged",))
    assert own[0].settings["seed"] == 3
    with pytest.raises(ValueError, match="the variants must be different"):
        make_trials(RECIPE, ("untied", "untied"))


def make_row(variant: str, seed: int, test: float, **fields) -> dict:
    accuracies = {"eval_accuracy": test + 0.1, "test_accuracy": test, "few_shot_mean": test / 2}
    cost = {"parameters": 10, "multiply_adds": 20, "seconds": 5.0}
    return {"variant": variant, "seed": seed, **accuracies, **cost, **fields}


def test_gains_are_means_over_the_seeds_that_both_have():
    unchanged = ablation_variants.UNCHANGED
    rows = [
        *(make_row(unchanged, 0, 0.5), make_row("untied", 0, 0.6, seconds=7.0)),
        *(make_row(unchanged, 1, 0.7), make_row("untied", 1, 0.72)),
        *(make_row(unchanged, 2, 0.1), {"variant": "untied", "seed": 2, "problem": "diverged"}),
    ]
    base, untied = ablations.summarize(rows)
    assert (base.variant, base.seeds, untied.variant, untied.seeds) == (unchanged, 3, "untied", 2)
    assert untied.means["test_accuracy"] == pytest.approx(0.66)
    assert untied.deviations["test_accuracy"] == pytest.approx(0.06 * 2**0.5)
    assert untied.gains["test_accuracy"] == pytest.approx((0.1 + 0.02) / 2)
    assert untied.gains["few_shot_mean"] == pytest.approx(0.03)
    assert base.gains["test_accuracy"] is None and untied.seconds == 6.0
    (alone,) = ablations.summarize([make_row("untied", 0, 0.6, seconds=None)])
    assert alone.gains["test_accuracy"] is None and alone.deviations["test_accuracy"] is None
    assert alone.seconds is None
