# SPDX-License-Identifier: Apache-2.0
import pytest

from mixer_tf import recipes
from mixer_tf.planning import plan_file
from mixer_tf.planning.plan_file import PlannedTime


def test_a_plan_comes_back_for_its_own_recipe_alone(tmp_path):
    path, recipe = str(tmp_path / "plan.json"), recipes.get("digits")
    plan_file.write(path, recipe, 1289, 142.4, 0.0961)
    assert plan_file.read(path, recipe) == PlannedTime(142.4, 0.0961, path, 1289)
    with pytest.raises(ValueError, match="with other values. Run `mixer plan`"):
        plan_file.read(path, recipe.override(["training.epochs=3"]))


def test_a_plan_for_other_images_has_a_note():
    planned = PlannedTime(142.4, 0.0961, "plan.json", 1289)
    assert plan_file.note_on_images(planned, 1289) is None
    assert plan_file.note_on_images(PlannedTime(142.4, 0.0961, "its first epochs"), 7) is None
    assert plan_file.note_on_images(planned, 12_000) == (
        "plan.json is for 1,289 training images, unusable ones included; this training has 12,000"
    )


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", '{"seconds": 3}', '{"seconds": "x"}'),
        '{"seconds": 3, "seconds_per_step": 1, "recipe": {}}',
    ],
)
def test_other_files(tmp_path, text):
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="a file that `mixer plan` wrote; got"):
        plan_file.read(str(path), recipes.get("digits"))
    with pytest.raises(ValueError, match="there is no file"):
        plan_file.read(str(tmp_path / "none"), recipes.get("digits"))


def test_planned_against_actual():
    planned = PlannedTime(100, 0.05, "plan.json")
    assert plan_file.compare(planned, 120, 0.06) == (
        "planned 100 s, 50.0 ms per step (plan.json); actual 120 s, 60.0 ms: 20% longer"
    )
    assert plan_file.compare(planned, 90, None).endswith("actual 90 s: 10% shorter")
