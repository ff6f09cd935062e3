# SPDX-License-Identifier: Apache-2.0
"""What Trainer adds to TFX's: overrides of the recipe, and a path below the root."""

import json

import pytest
from tfx.proto import trainer_pb2
from tfx.types import Channel
from tfx.types.standard_artifacts import Examples

from components.trainer import Trainer
from components.trainer.executor import complete
from mixer_tf import recipes
from mixer_tf.recipes.schema import Recipe

RECIPE = recipes.get("digits")


def properties(**changes) -> dict:
    trainer = Trainer(
        examples=Channel(type=Examples),
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
        custom_config={"recipe": RECIPE.to_json(), "checkpoint_dir": "checkpoints"},
    )
    return {**trainer.exec_properties, **changes}


def test_overrides_of_a_run_are_applied_to_the_recipe():
    completed = complete(
        properties(overrides="training.epochs=3 'optimizer.learning_rate=3e-4'", root="gs://b/r")
    )
    config = json.loads(completed["custom_config"])
    recipe = Recipe.from_json(config["recipe"])
    assert recipe == RECIPE.override(["training.epochs=3", "optimizer.learning_rate=3e-4"])
    assert config["checkpoint_dir"] == "gs://b/r/checkpoints"
    assert completed["run_fn"] == "components.trainer.run_fn.run_fn"


@pytest.mark.parametrize("overrides", ["", None])
def test_without_overrides_the_recipe_stays(overrides):
    completed = complete(properties(overrides=overrides))
    assert Recipe.from_json(json.loads(completed["custom_config"])["recipe"]) == RECIPE


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("training.epoch=3", "Did you mean training.epochs?"),
        ("data.train_shorter_side=64", "must be set when the pipeline is compiled"),
    ],
)
def test_an_override_that_cannot_be_applied_is_refused(overrides, message):
    with pytest.raises(ValueError) as error:
        complete(properties(overrides=overrides))
    assert message in str(error.value)


def test_an_absolute_checkpoint_folder_stays():
    config = json.dumps({"recipe": RECIPE.to_json(), "checkpoint_dir": "/ckpt"})
    completed = complete(properties(custom_config=config, root="/root folder"))
    assert json.loads(completed["custom_config"])["checkpoint_dir"] == "/ckpt"
