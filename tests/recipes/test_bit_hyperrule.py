# SPDX-License-Identifier: Apache-2.0
"""BiT-HyperRule: the numbers of the paper's section 3.3, and the training that follows them."""

import numpy as np
import pytest

from mixer_tf import recipes
from mixer_tf.recipes import bit_hyperrule as rule
from mixer_tf.recipes.schema import OptimizerOptions
from mixer_tf.training import optimizers


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((32, 32), (160, 128)),
        ((95, 97), (160, 128)),
        ((96, 96), (512, 480)),
        ((50, 400), (512, 480)),
    ],
)
def test_resolution_follows_the_area(size, expected):
    assert rule.resolution(*size) == expected


@pytest.mark.parametrize(
    ("num_images", "boundaries", "mixup"),
    [
        (1000, (100, 200, 300, 400, 500), 0),
        (19_999, (100, 200, 300, 400, 500), 0),
        (20_000, (500, 3000, 6000, 9000, 10_000), 0.1),
        (499_999, (500, 3000, 6000, 9000, 10_000), 0.1),
        (500_000, (500, 6000, 12_000, 18_000, 20_000), 0.1),
    ],
)
def test_length_and_mixup_follow_the_number_of_images(num_images, boundaries, mixup):
    assert rule.boundaries(num_images) == boundaries
    assert rule.mixup(num_images) == mixup


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.0),
        (50, 0.0015),
        (100, 0.003),
        (200, 0.003),
        (201, 3e-4),
        (300, 3e-4),
        (301, 3e-5),
        (401, 3e-6),
        (499, 3e-6),
        (500, None),
    ],
)
def test_the_learning_rate_of_a_small_data_set(step, expected):
    found = rule.learning_rate(step, 1000)
    assert found == (expected if expected is None else pytest.approx(expected, rel=1e-12))


@pytest.mark.parametrize(
    ("name", "num_images"), [("small", 1), ("medium", 50_000), ("large", 10**6)]
)
def test_the_recipes_train_with_the_learning_rate_of_the_rule(name, num_images):
    recipe = recipes.get(f"bit_hyperrule_{name}")
    steps = recipe.training.steps
    assert rule.learning_rate(steps, num_images) is None
    schedule = optimizers.create(recipe.optimizer, steps)._learning_rate
    for step in (0, 1, 77, 500, 501, 2999, 3001, 6000, 6001, 9001, 12_001, 18_001, steps - 1):
        if step < steps:
            found = float(schedule(step))
            np.testing.assert_allclose(found, rule.learning_rate(step, num_images), rtol=1e-5)
    assert (recipe.data.mixup, recipe.training.batch_size) == (rule.mixup(num_images), 512)
    assert (recipe.optimizer.momentum, recipe.optimizer.weight_decay) == (0.9, 0)
    assert type(schedule).from_config(schedule.get_config()).decay_steps == schedule.decay_steps


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "step"}, 'must be given where schedule is "step"'),
        ({"decay_steps": (1, 2)}, 'must be empty unless schedule is "step"'),
        ({"schedule": "step", "decay_steps": (20_000, 15_000)}, "must be in ascending order"),
        ({"schedule": "step", "decay_steps": (10,)}, "from the end of the warmup on, 10000"),
    ],
)
def test_steps_that_are_not_possible_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        OptimizerOptions(**changes)
