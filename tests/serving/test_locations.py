# SPDX-License-Identifier: Apache-2.0
"""Where a model is searched for."""

import pytest

from mixer_tf.serving import locations


def add_model(folder):
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    return str(folder)


def test_the_newest_version_is_the_highest_number(tmp_path):
    add_model(tmp_path / "9")
    newest = add_model(tmp_path / "10")
    add_model(tmp_path / "old-11")
    (tmp_path / "12").mkdir()  # not complete
    assert locations.list_versions(str(tmp_path)) == [9, 10]
    assert locations.resolve_saved_model(str(tmp_path)) == newest


@pytest.mark.parametrize("below", ["", "17", "serving/17", "Format-Serving"])
def test_a_model_is_found_in_each_layout(tmp_path, below):
    expected = add_model(tmp_path / "run" / below)
    assert locations.resolve_saved_model(str(tmp_path / "run")) == expected.rstrip("/")


def test_a_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = add_model(tmp_path / "pets")
    assert locations.resolve_saved_model("~/pets") == expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("summary.json", "the line `reason` in"),
        ("training.json", "run the same `mixer train` again"),
        ("photo.jpg", "Name the output of `mixer train`"),
    ],
)
def test_a_folder_without_a_model_says_what_may_have_happened(tmp_path, name, hint):
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=hint):
        locations.resolve_saved_model(str(tmp_path))


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ValueError, match="MODEL must be a folder that exists; got .*/nowhere"):
        locations.resolve_saved_model(str(tmp_path / "nowhere"))
