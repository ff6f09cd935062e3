# SPDX-License-Identifier: Apache-2.0
"""The recipes against the numbers that the paper prints, typed here a second time."""

import re
import shlex

import pytest

from mixer_tf import recipes
from mixer_tf.models import costs
from mixer_tf.recipes import ablations, baselines, finetune, finetune_small, pretrain

# Table 4: model, dataset, epochs, lr, wd, RandAug., mixup, dropout, stochastic depth.
TABLE_4 = """
Mixer-B ImNet     300  0.001 0.1  15 0.5 0.0 0.1
Mixer-L ImNet     300  0.001 0.1  15 0.5 0.0 0.1
Mixer-B ImNet-21k 300  0.001 0.1  10 0.2 0.0 0.1
Mixer-L ImNet-21k 300  0.001 0.1  20 0.5 0.0 0.1
Mixer-S JFT-300M  5    0.003 0.03 -  0   0   0
Mixer-B JFT-300M  7    0.003 0.03 -  0   0   0
Mixer-L JFT-300M  7/14 0.001 0.03 -  0   0   0
Mixer-H JFT-300M  14   0.001 0.03 -  0   0   0
"""
ROWS = [line.split() for line in TABLE_4.strip().split("\n")]
# Table 3: which models were pre-trained on which dataset, and for how many epochs.
TABLE_3 = {
    ("b16", "ImNet", 300),
    ("l16", "ImNet", 300),
    ("b16", "ImNet-21k", 300),
    ("l16", "ImNet-21k", 300),
    ("s32", "JFT-300M", 5),
    ("s16", "JFT-300M", 5),
    ("b32", "JFT-300M", 7),
    ("b16", "JFT-300M", 7),
    ("l32", "JFT-300M", 7),
    ("l16", "JFT-300M", 7),
    ("l16", "JFT-300M", 14),
    ("h14", "JFT-300M", 14),
}
DATASETS = {"imagenet": "ImNet", "imagenet21k": "ImNet-21k", "jft": "JFT-300M"}
HEAD_BIASES = {"ImNet": -6.9, "ImNet-21k": -10.0, "JFT-300M": -10.0}


def key(recipe) -> tuple[str, str, int]:
    """(model without "mixer_", dataset, epochs) of a recipe for pre-training."""
    dataset = DATASETS[recipe.name.split("_")[1]]
    return recipe.model.name.removeprefix("mixer_"), dataset, recipe.training.epochs


def row_of(recipe) -> tuple:
    """The numbers of a recipe as Table 4 prints them."""
    data, optimizer, model = recipe.data, recipe.optimizer, recipe.model.config(1000)
    return (
        optimizer.learning_rate,
        pytest.approx(optimizer.weight_decay / optimizer.learning_rate),
        data.randaugment_magnitude if data.randaugment_layers else None,
        data.mixup,
        model.dropout,
        model.stochastic_depth,
    )


def test_the_models_are_those_of_table_3_each_with_its_epochs():
    found = [key(recipe) for recipe in pretrain.RECIPES]
    assert sorted(found) == sorted(TABLE_3)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_every_row_of_table_4_has_its_recipes_with_its_numbers(row):
    model, dataset, epochs, *numbers = row
    size = model.removeprefix("Mixer-").lower()
    found = [r for r in pretrain.RECIPES if key(r)[0][0] == size and key(r)[1] == dataset]
    assert {recipe.training.epochs for recipe in found} == {int(n) for n in epochs.split("/")}
    expected = [None if number == "-" else float(number) for number in numbers]
    for recipe in found:
        assert list(row_of(recipe)) == expected


def test_every_recipe_for_pretraining_is_in_table_4():
    rows = {(row[0][-1].lower(), row[1]) for row in ROWS}
    assert {(key(recipe)[0][0], key(recipe)[1]) for recipe in pretrain.RECIPES} == rows


@pytest.mark.parametrize("recipe", [*pretrain.RECIPES, *ablations.RECIPES], ids=lambda r: r.name)
def test_what_section_3_states_for_every_pretraining(recipe):
    optimizer, data, training = recipe.optimizer, recipe.data, recipe.training
    assert (optimizer.name, optimizer.beta_1, optimizer.beta_2) == ("adam", 0.9, 0.999)
    assert (optimizer.schedule, optimizer.warmup_steps) == ("linear", 10_000)
    assert (optimizer.clip_norm, optimizer.final_fraction) == (1.0, 1e-5)
    assert (training.batch_size, training.loss, recipe.model.image_size) == (4096, "sigmoid", 224)
    assert (data.train_crop, data.flip, data.shuffle_buffer) == ("inception", True, 250_000)
    assert data.randaugment_layers in (0, 2) and data.randaugment_wraparound


def test_the_head_bias_fits_the_number_of_classes():
    for recipe in pretrain.RECIPES:
        assert recipe.model.config(1000).head_bias_init == HEAD_BIASES[key(recipe)[1]]


# Supplement B and big_vision/configs/transfer.py: steps, warmup, splits.
FINETUNING = {
    "finetune_cifar10": (10_000, 500, "eval=train[98%:]"),
    "finetune_cifar100": (10_000, 500, "eval=train[98%:]"),
    "finetune_pets": (500, 100, "eval=train[90%:]"),
    "finetune_flowers": (500, 100, "eval=train[90%:]"),
    "finetune_imagenet": (20_000, 500, "eval=train[99%:],test=validation"),
}


def test_finetuning_is_that_of_the_paper():
    assert {recipe.name for recipe in finetune.RECIPES} == set(FINETUNING)
    for recipe in finetune.RECIPES:
        steps, warmup, _ = FINETUNING[recipe.name]
        optimizer, data, training = recipe.optimizer, recipe.data, recipe.training
        assert (training.steps, optimizer.warmup_steps) == (steps, warmup)
        assert (training.batch_size, training.loss) == (512, "softmax")
        assert (optimizer.name, optimizer.momentum, optimizer.schedule) == (
            *("momentum", 0.9, "cosine"),
        )
        assert (optimizer.weight_decay, optimizer.clip_norm, optimizer.ema) == (0, 1.0, 0)
        assert (data.crop, data.train_crop) == ("resmall_crop", "resize_random")
        assert (data.mixup, data.randaugment_layers, data.shuffle_buffer) == (0, 0, 50_000)
        assert recipe.model.config(10).dropout == recipe.model.config(10).stochastic_depth == 0
        grid = recipes.grid(recipe.name)
        assert grid == {"optimizer.learning_rate": (0.003, 0.01, 0.03, 0.06)}


def documented_commands(module) -> list[list[str]]:
    text = module.__doc__.replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(r"^    (mixer train .*)$", text, re.M)]


def option(command: list[str], name: str) -> str | None:
    return command[command.index(name) + 1] if name in command else None


def test_the_commands_of_finetuning_state_the_splits_of_the_paper():
    found = {
        option(command, "--recipe"): option(command, "--splits")
        for command in documented_commands(finetune)
        if option(command, "--source").startswith("tfds:")
    }
    assert found == {name: splits for name, (_, _, splits) in FINETUNING.items()}


@pytest.mark.parametrize("module", [pretrain, finetune, finetune_small, ablations, baselines])
def test_every_documented_command_names_a_recipe_and_fields_that_exist(module):
    commands = documented_commands(module)
    assert commands
    for command in commands:
        recipe = recipes.get(option(command, "--recipe"))
        overrides = [command[i + 1] for i, word in enumerate(command) if word == "--set"]
        assert not overrides or recipe.override(overrides) != recipe
    for assignment in re.findall(r"^    --set (\S+)$", module.__doc__, re.M):
        assert recipes.get("finetune_pets").override([assignment]) != recipes.get("finetune_pets")


@pytest.mark.parametrize("name", [recipe.name for recipe in pretrain.RECIPES])
def test_the_grid_of_pretraining_holds_the_numbers_of_the_recipe(name):
    grid = recipes.grid(name)
    if "jft" in name:
        assert grid == {}
        return
    sections = recipes.get(name).to_dict()
    for fields, values in grid.items():
        fields = (fields,) if isinstance(fields, str) else fields
        chosen = tuple(sections[f.split(".")[0]][f.split(".")[1]] for f in fields)
        assert chosen in [value if isinstance(value, tuple) else (value,) for value in values]
    assert len(grid) == 5


@pytest.mark.parametrize(
    ("name", "operations"),
    [("finetune_pets", 1.9e16), ("finetune_cifar10", 3.9e17), ("finetune_imagenet", 7.7e17)],
)
def test_the_calculated_cost_in_the_docstring(name, operations):
    recipe = recipes.get(name)
    images = recipe.training.steps * recipe.training.batch_size
    found = 6 * costs.count_multiply_adds(recipe.model.config(1000)) * images
    assert found == pytest.approx(operations, rel=0.03)
    assert f"{operations:.1e}".replace("+", "") in finetune.__doc__


def test_the_calculated_cost_with_frozen_blocks():
    recipe = recipes.get("finetune_small")
    images = 1000 * recipe.training.epochs
    found = 2 * costs.count_multiply_adds(recipe.model.config(10)) * images
    assert found == pytest.approx(2.5e14, rel=0.03) and "2.5e14" in finetune_small.__doc__


def test_the_ablations_differ_from_their_base_in_the_model_alone():
    base = recipes.get("pretrain_jft_s32")
    multiply_adds = costs.count_multiply_adds(base.model.config(1000))
    for recipe in ablations.RECIPES:
        assert recipe.replace(name=base.name, summary=base.summary, model=base.model) == base
        assert recipe.model.config(1000).ablations
        cost = costs.count_multiply_adds(recipe.model.config(1000)) / multiply_adds
        assert 0.65 < cost < 1.15  # times 10 core-days
