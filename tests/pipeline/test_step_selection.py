# SPDX-License-Identifier: Apache-2.0
"""--from and --to select the steps on the paths between them."""

import types

import pytest

from mixer_tf import recipes
from pipeline.configs import PipelineConfig
from pipeline.definition import create_pipeline
from pipeline.local import run, step_selection


def _select(from_step: str | None, to_step: str | None) -> set[str]:
    config = PipelineConfig(name="n", root="/r", source="digits", recipe=recipes.get("digits"))
    return step_selection.select(create_pipeline(config), from_step, to_step)


def test_all_steps_are_selected_without_an_option():
    assert len(_select(None, None)) == 15


def test_selected_steps_follow_the_first_and_precede_the_last():
    assert _select("Evaluator", None) == {"Evaluator", "ModelChecker", "Pusher", "RunReport"}
    assert _select(None, "Deduplicator") == {"ImageExampleGen", "Deduplicator"}
    assert _select("Preprocessor", "Trainer") == {"Preprocessor", "Trainer"}


def test_last_step_before_the_first_is_refused():
    with pytest.raises(ValueError, match="--to must come after --from; Preprocessor does not"):
        _select("Trainer", "Preprocessor")


def test_unknown_step_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"no step 'pushr'\. Did you mean Pusher\? The steps are"):
        _select("pushr", None)


def test_the_predict_command_has_the_model_of_this_run(tmp_path):
    """Not that of an earlier run, where this one pushed nothing."""
    (tmp_path / "serving" / "1").mkdir(parents=True)
    (tmp_path / "serving" / "1" / "saved_model.pb").write_bytes(b"")
    config = PipelineConfig(
        name="n", root=str(tmp_path), source="digits", recipe=recipes.get("digits")
    )
    for is_served, expected in ((False, "/r/model/9"), (True, f"{tmp_path}/serving")):
        outputs = types.SimpleNamespace(
            serves_this_model=lambda found=is_served: found, saved_model=lambda: "/r/model/9"
        )
        assert expected in run._commands(config, outputs, None)["predict"]
