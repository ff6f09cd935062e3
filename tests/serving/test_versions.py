# SPDX-License-Identifier: Apache-2.0
"""Versions that are removed or withdrawn, and `mixer rollback`."""

import pathlib
import shutil

import pytest
from click.testing import CliRunner

from mixer_tf.cli import main
from mixer_tf.serving import lineage, versions
from mixer_tf.serving.locations import list_versions


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    """Versions 3, 20 and 100 of mixer_tf, and 7 of another exporter, in the root of a pipeline."""
    for number in (3, 7, 20, 100):
        path = tmp_path / "serving" / str(number)
        (path / "assets.extra").mkdir(parents=True)
        (path / "saved_model.pb").write_text(str(number))
        if number != 7:
            (path / "assets.extra" / "recipe.json").write_text("{}")
    (tmp_path / "serving" / "labels").mkdir()
    return tmp_path / "serving"


def test_old_versions_are_removed_but_not_those_of_others(folder):
    assert versions.remove_old(str(folder), keep=4) == []
    assert versions.remove_old(str(folder), keep=2) == [3]
    assert list_versions(str(folder)) == [7, 20, 100]
    assert versions.remove_old(str(folder), keep=1) == [20]
    assert list_versions(str(folder)) == [7, 100]
    assert (folder / "labels").exists()


def test_a_rollback_serves_the_version_before(folder):
    result = CliRunner().invoke(main, ["rollback", str(folder.parent)])
    assert result.exit_code == 0, result.output
    assert result.output == f"withdrawn  100\nserving    20 in {folder}\n"
    assert (folder / ".withdrawn-100" / "saved_model.pb").read_text() == "100"


def test_a_rollback_to_a_version(folder):
    result = CliRunner().invoke(main, ["rollback", str(folder), "--to=3"])
    assert result.exit_code == 0, result.output
    assert result.output == f"withdrawn  100, 20, 7\nserving    3 in {folder}\n"
    result = CliRunner().invoke(main, ["rollback", str(folder)])
    assert result.exit_code == 1
    assert "a rollback needs an earlier version" in result.output and "has 3." in result.output


def test_a_rollback_to_an_unknown_version_changes_nothing(folder):
    result = CliRunner().invoke(main, ["rollback", str(folder), "--to=4"])
    assert result.exit_code == 1
    assert "the version must be one of 3, 7, 20, 100; got 4." in result.output
    assert list_versions(str(folder)) == [3, 7, 20, 100]


def test_a_folder_without_versions(tmp_path):
    result = CliRunner().invoke(main, ["rollback", str(tmp_path)])
    assert result.exit_code == 1 and "MODEL must hold versions of a model" in result.output


def test_a_new_version_comes_after_a_withdrawn_one(folder, monkeypatch):
    versions.withdraw(str(folder))
    monkeypatch.setattr(versions.time, "time", lambda: 50.0)
    model = folder.parent / "model"
    model.mkdir()
    (model / "saved_model.pb").write_text("new")
    assert versions.publish(str(model), str(folder)).endswith("/101")


def test_a_withdrawn_model_is_recognized(folder):
    model = folder.parent / "model"
    (folder / "100").rename(model)
    versions.publish(str(model), str(folder))
    assert versions.withdrawn_as(str(folder), str(model)) is None
    (number,) = versions.withdraw(str(folder))
    assert versions.withdrawn_as(str(folder), str(model)) == number


def test_a_model_with_a_card_of_its_own_gets_that_of_the_push(folder):
    model = folder.parent / "model"
    (folder / "100").rename(model)
    card = pathlib.Path("assets.extra", "MODEL_CARD.md")
    (model / card).parent.mkdir(exist_ok=True)
    (model / card).write_text("of the training")
    kept = versions.publish(str(model), str(folder))
    assert pathlib.Path(kept, card).read_text() == "of the training"
    path = versions.publish(str(model), str(folder), None, "of the push")
    assert pathlib.Path(path, card).read_text() == "of the push"
    assert versions.already_served(str(folder), str(model)) == int(path.rsplit("/")[-1])


def test_the_versions_and_their_history(folder):
    model = folder.parent / "model"
    (folder / "100").rename(model)
    history = lineage.Lineage(
        *("1.2.3", "2026-01-02T03:04:05+00:00", "pets", "photos", "folder:/data/pets"),
        images={"train": 1200, "test": 300},
        evaluation={"accuracy": 0.9},
    )
    path = versions.publish(str(model), str(folder), history.to_json())
    assert lineage.read(path) == history
    assert versions.already_served(str(folder), str(model)) == int(path.rsplit("/")[-1])
    result = CliRunner().invoke(main, ["versions", str(folder)])
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[1] == ["3", *"–––––"]
    assert lines[-2][1:] == (
        ["2026-01-02", "03:04:05", "UTC", "photos", "folder:/data/pets", "1,200", "0.9000"]
    )


def test_one_version_has_none_to_return_to(folder):
    for number in (3, 7, 20):
        shutil.rmtree(folder / str(number))
    result = CliRunner().invoke(main, ["versions", str(folder)])
    assert result.output.endswith("model servers take 100\n")
