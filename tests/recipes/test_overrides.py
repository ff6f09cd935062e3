# SPDX-License-Identifier: Apache-2.0
import pytest

from mixer_tf import recipes


@pytest.fixture
def recipe():
    return recipes.get("digits")


@pytest.mark.parametrize(
    ("assignment", "section", "field", "value"),
    [
        ("optimizer.learning_rate=3e-4", "optimizer", "learning_rate", 3e-4),
        ("training.epochs=5", "training", "epochs", 5),
        ("training.batch_size=1_024", "training", "batch_size", 1024),
        ("training.jit_compile=true", "training", "jit_compile", True),
        ("data.flip=no", "data", "flip", False),
        ("optimizer.clip_norm=none", "optimizer", "clip_norm", None),
        ("optimizer.clip_norm=2", "optimizer", "clip_norm", 2.0),
        ("model.patch_size=2", "model", "patch_size", 2),
        ("model.pyramid=16,9,4,1", "model", "pyramid", (16, 9, 4, 1)),
        ("model.weights=a=b.npz", "model", "weights", "a=b.npz"),
        ("training.steps=500", "training", "steps", 500),
        (" model.name = mixer_s8 ", "model", "name", "mixer_s8"),
    ],
)
def test_a_field_is_replaced_with_its_own_type(recipe, assignment, section, field, value):
    changed = getattr(recipe.override([assignment]), section).to_dict()[field]
    assert changed == value and type(changed) is type(value)


def test_an_empty_text_is_an_empty_tuple(recipe):
    changed = recipe.override(["model.pyramid=9,9,9,9"])
    assert changed.override(["model.pyramid="]) == recipe


def test_the_other_fields_stay(recipe):
    changed = recipe.override(["training.epochs=5"])
    assert changed.model == recipe.model and changed.optimizer == recipe.optimizer
    assert recipe.training.epochs != 5


def test_the_last_of_two_wins(recipe):
    changed = recipe.override(["training.epochs=5", "training.epochs=6"])
    assert changed.training.epochs == 6


def test_no_override_changes_nothing(recipe):
    assert recipe.override([]) == recipe


@pytest.mark.parametrize(
    ("assignment", "nearest"),
    [
        ("optimizer.learning_rat=1", "optimizer.learning_rate"),
        ("optimzer.learning_rate=1", "optimizer.learning_rate"),
        ("optimzer.name=adam", "optimizer.name"),
        ("modle.patchsize=4", "model.patch_size"),
        ("learning_rate=1", "optimizer.learning_rate"),
        ("epoch=1", "training.epochs"),
        ("training.learning_rate=1", "optimizer.learning_rate"),
    ],
)
def test_an_unknown_field_names_the_nearest(recipe, assignment, nearest):
    path = assignment.split("=")[0]
    with pytest.raises(ValueError, match=f"got '{path}'. Did you mean {nearest}?"):
        recipe.override([assignment])


def test_an_unknown_field_lists_those_of_its_section(recipe):
    with pytest.raises(ValueError, match="Fields: training.epochs, training.steps, "):
        recipe.override(["training.xyz=1"])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.epochs", "must be section.field=value; got 'training.epochs'"),
        ("training.epochs=many", "training.epochs must be an integer; got 'many'"),
        ("training.epochs=1.5", "training.epochs must be an integer; got '1.5'"),
        ("data.flip=perhaps", "data.flip must be a boolean; got 'perhaps'"),
        ("model.patch_size=x", "model.patch_size must be an integer, or none; got 'x'"),
        (
            "model.pyramid=a,b",
            "model.pyramid must be integers separated by commas; got 'a",
        ),
        ("training.epochs=-1", "training.epochs must be from 1 to 1,000,000; got epochs=-1"),
        ("model.patch_size=5", "^model.patch_size must divide image_size; got patch_size=5"),
        ("data.train_shorter_side=64", 'must be none unless train_crop is "inception"; got'),
        ("training.loss=mse", "training.loss must be one of softmax, sigmoid"),
        ("optimizer.learning_rate=nan", "optimizer.learning_rate must be a number; got nan"),
    ],
)
def test_a_bad_value_names_field_rule_and_value(recipe, assignment, message):
    with pytest.raises(ValueError, match=message):
        recipe.override([assignment])
