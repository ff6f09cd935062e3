# SPDX-License-Identifier: Apache-2.0
"""The recipes of VTAB are those of the paper, and crops and flips keep the labels."""

import dataclasses

import pytest

from mixer_tf.evaluation.vtab import protocols, tasks
from mixer_tf.evaluation.vtab.protocols import Point, VtabSettings
from mixer_tf.recipes import bit_hyperrule
from mixer_tf.recipes.schema import ModelOptions

MODEL = ModelOptions(name="mixer_b16", stochastic_depth=0.1, dropout=0.1)
DTD, CLEVR, DSPRITES = tasks.find(["dtd", "clevr-count", "dsprites-ori"])


def test_the_grid_and_the_recipe_are_those_of_the_paper():
    settings = VtabSettings(MODEL)
    assert settings.points() == [Point(rate, 2500) for rate in (0.003, 0.01, 0.03)]
    assert settings.seeds == (0, 1, 2)
    recipe = settings.recipe(DTD, Point(0.03, 2500), 7)
    optimizer, training = recipe.optimizer, recipe.training
    assert (optimizer.name, optimizer.momentum, optimizer.schedule) == ("momentum", 0.9, "cosine")
    assert (optimizer.learning_rate, optimizer.warmup_steps) == (0.03, 500)
    assert (optimizer.clip_norm, optimizer.weight_decay) == (1.0, 0.0)
    assert (training.steps, training.batch_size, training.loss) == (2500, 512, "softmax")
    assert training.seed == 7
    several = dataclasses.replace(settings, learning_rates=(0.1,), steps=(5, 50))
    assert several.points() == [Point(0.1, 5), Point(0.1, 50)]


def test_bit_hyperrule_has_one_point_and_its_own_recipe():
    settings = VtabSettings(MODEL, protocol="bit-hyperrule", overrides=("training.batch_size=64",))
    (point,) = settings.points()
    assert point == Point(0.003, 500)
    recipe = settings.recipe(CLEVR, point, 1)
    expected = bit_hyperrule.RECIPES[0]
    assert recipe.optimizer == expected.optimizer
    assert recipe.training == expected.training.replace(batch_size=64, seed=1)
    assert (recipe.data.crop, recipe.data.mixup) == ("resize", 0)


@pytest.mark.parametrize(
    ("task", "crop", "train_crop", "flip"),
    [
        (DTD, "resize_crop", "resize_random", True),
        (CLEVR, "resize", "same", True),
        (DSPRITES, "resize", "same", False),
    ],
)
def test_crops_and_flips_keep_the_labels(task, crop, train_crop, flip):
    data = protocols.data_options(task)
    assert (data.crop, data.train_crop, data.flip) == (crop, train_crop, flip)
    assert (data.mixup, data.randaugment_layers) == (0, 0)


def test_fine_tuning_has_no_regularization_of_the_pre_training():
    tuned = protocols.fine_tuned(MODEL, "/some/model")
    assert (tuned.weights, tuned.keep_head, tuned.fields) == ("/some/model", False, {})


def test_the_first_of_the_best_points_is_chosen():
    points = [Point(rate, 5) for rate in (1.0, 2.0, 3.0)]
    assert protocols.best_point(points, [0.5, 0.7, 0.7]) == points[1]
    assert protocols.best_point(points, [None, 0.0, None]) == points[1]
    with pytest.raises(ValueError, match="all did. Give lower ones"):
        protocols.best_point(points, [None, None, None])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"protocol": "bit"}, "protocol must be one of paper, bit-hyperrule; got 'bit'"),
        ({"overrides": ("training.seed=3",)}, "training.seed must not be set: the grid"),
        ({"overrides": ("model.dropout=0.1",)}, "model.dropout must not be set"),
    ],
)
def test_settings_that_are_not_possible_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        VtabSettings(MODEL, **settings)
