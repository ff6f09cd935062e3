# SPDX-License-Identifier: Apache-2.0
"""Estimates for devices, against the authors' own training and the paper's tables."""

import dataclasses

import pytest

from mixer_tf import recipes
from mixer_tf.models import registry
from mixer_tf.planning import devices, estimate
from mixer_tf.studies import paper_results
from mixer_tf.training.length import training_length
from mixer_tf.training.plan import Plan


def make_plan(name: str, images: int, classes: int, *overrides) -> Plan:
    recipe = recipes.get(name).override(overrides)
    return Plan(recipe, training_length(recipe.training, images), images, 0, classes)


IMAGENET = make_plan("pretrain_imagenet_b16", 1_281_167, 1000)


AUTHORS_SECONDS = (2 * 60 + 11) * 60  # of 128 cores of TPU v3


def test_core_days_of_the_authors_training():
    """2 h 11 min on 128 cores, which the paper states as 0.01k core-days."""
    found = devices.core_days(AUTHORS_SECONDS, 128)
    assert found == pytest.approx(11.6, abs=0.05)
    table = [r for r in paper_results.results_of("mixer_b16") if r.pretraining == "ImageNet"]
    assert [round(found / 1000, 2)] == [result.kilo_core_days for result in table]


def test_the_plan_of_the_authors_training_takes_what_it_took():
    found = estimate.on_device(IMAGENET, devices.get("tpu-v3"), 128)
    assert found.seconds == pytest.approx(AUTHORS_SECONDS, rel=0.02)
    assert found.core_days == pytest.approx(11.6, rel=0.02)
    assert IMAGENET.length.steps == 93_835  # 300 x 1,281,167 / 4096
    assert found.images_per_second == pytest.approx(
        IMAGENET.length.steps * 4096 / found.seconds, rel=1e-6
    )


def test_the_same_utilization_gives_the_papers_cost_of_a_large_mixer():
    """Table 3: Mixer-L/16 on JFT-300M, 14 epochs: 0.45k core-days; 7 epochs: 0.23k."""
    for name, core_days in (("pretrain_jft_l16", 450), ("pretrain_jft_l16_7_epochs", 230)):
        plan = make_plan(name, 300_000_000, 18_000)
        assert estimate.paper_core_days(plan) == pytest.approx(core_days, rel=0.05)


def test_throughput_follows_from_that_of_the_papers_model():
    config = registry.describe("mixer_b16").config
    assert estimate.paper_throughput(config) == pytest.approx(1384, rel=0.01)


def test_energy_and_price_by_hand():
    """An H100 at 50 %: 2.9e19 operations at 494.5e12 per second are 16.3 hours of 700 W."""
    operations = 6 * 12_596_000_000 * 4096 * 93_835
    hours = operations / (0.5 * 989e12) / 3600
    plan = make_plan(
        *("pretrain_imagenet_b16", 1_281_167, 1000, "training.precision=mixed_bfloat16")
    )
    found = estimate.on_device(plan, devices.get("h100"), 8, 0.5, dollars_per_hour=2.0)
    assert found.seconds == pytest.approx(hours * 3600 / 8, rel=1e-3)
    assert found.kilowatt_hours == pytest.approx(0.7 * hours, rel=1e-3)
    assert found.dollars == pytest.approx(2 * hours, rel=1e-3)
    listed = estimate.on_device(plan, devices.get("h100"), 8, 0.5)
    assert listed.dollars == pytest.approx(6.88 * hours, rel=1e-3)
    unknown = estimate.on_device(plan, devices.get("tpu-v5e"))
    assert unknown.kilowatt_hours is None and unknown.dollars


def test_evaluations_cost_a_forward_pass():
    without = estimate.operations(IMAGENET)
    with_them = estimate.operations(dataclasses.replace(IMAGENET, num_eval_images=50_000))
    forward = 2 * registry.describe("mixer_b16").multiply_adds
    assert with_them - without == 300 * 50_000 * forward


def test_the_largest_batch_fits_and_twice_as_much_does_not():
    for device in devices.DEVICES:
        found = estimate.on_device(IMAGENET, device, 4)
        memory = device.memory * devices.USABLE_MEMORY
        sizes = []
        for batch in (found.largest_batch, 2 * found.largest_batch):
            training = IMAGENET.recipe.training.replace(batch_size=batch)
            recipe = IMAGENET.recipe.replace(training=training)
            sizes.append(estimate.memory(dataclasses.replace(IMAGENET, recipe=recipe), 4))
        assert sizes[0] <= memory < sizes[1], device.name
    assert estimate.largest_batch(IMAGENET, 10**9) == 0  # weights and moments alone are 0.96 GB


def test_every_device_states_its_source_and_date():
    for device in devices.DEVICES:
        assert device.facts and " of 20" in device.price
    with pytest.raises(ValueError, match="Did you mean a100"):
        devices.get("a10")
