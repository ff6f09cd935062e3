# SPDX-License-Identifier: Apache-2.0
"""LastPushedModel: the newest version is copied; without one, later steps get no input."""

import pathlib

import pytest
from tfx.types import standard_artifacts

from components.earlier_model import without_missing
from components.last_pushed_model.executor import Executor
from mixer_tf.serving import versions


def run(folder: pathlib.Path, **properties: str) -> standard_artifacts.Model:
    model = standard_artifacts.Model()
    model.uri = str(folder)
    Executor().Do({}, {"model": [model]}, properties)
    return model


def make_version(folder: pathlib.Path, name: str) -> None:
    (folder / name / "variables").mkdir(parents=True)
    (folder / name / "saved_model.pb").write_text(name)
    (folder / name / "variables" / "variables.index").write_text(f"of {name}")


@pytest.fixture
def serving(tmp_path) -> pathlib.Path:
    folder = tmp_path / "root" / "serving"
    make_version(folder, "9")
    make_version(folder, "10")
    (folder / "11").mkdir()  # a push that is not complete
    return folder


def test_the_newest_version_is_copied(serving, tmp_path):
    model = run(tmp_path / "m", push_destination="serving", root=str(serving.parent))
    copied = tmp_path / "m" / "Format-Serving"
    assert {
        path.relative_to(copied).as_posix(): path.read_text() for path in copied.rglob("*.*")
    } == {
        "saved_model.pb": "10",
        "variables/variables.index": "of 10",
    }
    assert model.get_string_custom_property("pushed_version") == "10"
    assert without_missing({"base_model": [model]}) == {"base_model": [model]}


def test_a_withdrawn_version_is_not_found(serving, tmp_path):
    versions.withdraw(str(serving))
    model = run(tmp_path / "m", push_destination=str(serving))
    assert model.get_string_custom_property("pushed_version") == "9"


def test_a_step_that_is_started_again_has_only_the_files_of_the_version(serving, tmp_path):
    (tmp_path / "m" / "Format-Serving").mkdir(parents=True)
    (tmp_path / "m" / "Format-Serving" / "left").touch()
    run(tmp_path / "m", push_destination=str(serving))
    assert not (tmp_path / "m" / "Format-Serving" / "left").exists()


def test_without_a_version_later_steps_get_no_input(tmp_path):
    model = run(tmp_path / "m", push_destination="serving", root=str(tmp_path))
    resolved = standard_artifacts.Model()  # of a Resolver, which marks nothing
    found = without_missing({"base_model": [model], "model": [resolved], "examples": []})
    assert found == {"base_model": [], "model": [resolved], "examples": []}


@pytest.mark.parametrize(("value", "is_missing"), [(0.0, True), (1.0, False)])
def test_the_mark_is_read_as_kubeflow_v2_and_vertex_hand_it_over(value, is_missing):
    written, model = standard_artifacts.Model(), standard_artifacts.Model()
    written.set_json_value_custom_property("found", value)  # numbers become JSON values
    model.set_mlmd_artifact(written.mlmd_artifact)
    assert without_missing({"base_model": [model]})["base_model"] == ([] if is_missing else [model])
