# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from mixer_tf import recipes
from mixer_tf.planning import budget
from mixer_tf.planning.estimate import operations
from mixer_tf.training.length import training_length
from mixer_tf.training.plan import Plan


def make_plan(name: str, *overrides) -> Plan:
    recipe = recipes.get(name).override(overrides)
    return Plan(recipe, training_length(recipe.training, 5000), 5000, 0, 10)


def duration(plan: Plan) -> float:
    return operations(plan) / 1e12


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("45min", 2700), ("45 m", 2700), ("2h", 7200), ("1.5D", 129600)],
)
def test_durations(text, seconds):
    assert budget.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "0h", "2 weeks", "1e3s"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="such as 2h or 45min"):
        budget.parse(text)


@pytest.mark.parametrize("name", ["digits", "photos", "pretrain_imagenet_b16"])
def test_proposals_fit_and_use_the_budget(name):
    plan = make_plan(name)
    limit = 3 * duration(plan)
    found = budget.propose(plan, limit, duration)
    assert found and all(each.seconds <= limit for each in found)
    assert found[0].seconds > duration(plan)  # something larger than the recipe
    for each in found:
        recipe = plan.recipe.override(each.assignments)
        again = dataclasses.replace(
            plan, recipe=recipe, length=training_length(recipe.training, 5000)
        )
        assert duration(again) == each.seconds  # the assignments are all that differs
        assert again.length.epochs == plan.length.epochs and not each.is_shorter


def test_without_enough_time_there_are_fewer_epochs():
    plan = make_plan("photos")
    cheapest = min(
        (p.seconds for p in budget.propose(plan, float("inf"), duration, most=1000)), default=0
    )
    found = budget.propose(plan, cheapest / 2, duration)
    assert found and all(each.is_shorter and each.seconds <= cheapest / 2 for each in found)
    assert all(6 <= each.plan.length.epochs < 60 for each in found)


def test_a_single_epoch_fits_however_the_total_is_rounded():
    """2 epochs of 1,165 images in batches of 64 are 36 steps, less than twice 18.2."""
    recipe = recipes.get("digits").override(["training.epochs=2"])
    plan = Plan(recipe, training_length(recipe.training, 1165), 1165, 0, 10)
    cheapest = min(p.seconds for p in budget.propose(plan, float("inf"), duration, most=1000))
    found = budget.propose(plan, 0.6 * cheapest, duration)
    assert found and {each.plan.length.epochs for each in found} == {1}


def test_a_recipe_with_steps_gets_epochs_instead():
    plan = make_plan("finetune_pets", "model.weights=none")
    found = budget.propose(plan, duration(plan) / 100, duration)
    assert found
    for each in found:
        assert plan.recipe.override(each.assignments).training.steps is None


def test_the_model_of_weights_stays():
    plan = make_plan("finetune_cifar10")
    found = budget.propose(plan, 3 * duration(plan), duration, most=100)
    assert {each.plan.recipe.model.name for each in found} == {"mixer_b16"}


def test_no_epoch_fits():
    assert budget.propose(make_plan("photos"), 1e-9, duration) == []


def test_the_image_size_of_a_mixers_weights_stays():
    found = budget.propose(make_plan("finetune_cifar10"), float("inf"), operations, most=100)
    assert {each.plan.recipe.model.image_size for each in found} == {224}
