# SPDX-License-Identifier: Apache-2.0
"""From options to a local run: each source is opened once, and defaults follow from its classes."""

import dataclasses
import shutil

import pytest

from mixer_tf.checkpoints.downloading import DownloadError
from mixer_tf.datasets.sources import opening
from pipeline import local_runner
from pipeline.definition import create_pipeline
from pipeline.local import preparation
from pipeline.local.step_selection import select

DEFAULTS = local_runner.main.make_context("local_runner", []).params


def _prepare(**changes):
    return preparation.prepare({**DEFAULTS, **changes})


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """The sources that were opened, in order."""
    found, open_source = [], opening.open_source

    def recording(spec, data_dir=None):
        found.append(spec)
        return open_source(spec, data_dir)

    monkeypatch.setattr(opening, "open_source", recording)
    return found


def test_each_source_is_opened_once(image_folder, tmp_path, opened):
    _prepare(source=f"folder:{image_folder}", test_sets=("digits",), root=str(tmp_path))
    assert opened == [f"folder:{image_folder}", "digits"]


def test_a_wrong_option_opens_nothing(tmp_path, opened):
    with pytest.raises(ValueError, match="there is no recipe"):
        _prepare(recipe="nonsense", root=str(tmp_path / "root"))
    assert opened == []
    assert not (tmp_path / "root").exists()


def test_the_content_of_the_list_of_images_to_keep_changes_the_deduplicator(tmp_path, opened):
    keep = tmp_path / "keep.txt"
    options = {"root": str(tmp_path / "root"), "keep_duplicates": str(keep)}
    with pytest.raises(ValueError, match=r"must be an existing file; got '.*keep\.txt'"):
        _prepare(**options)
    assert opened == []
    found = [_prepare(root=options["root"]).fingerprints]
    for text in ("", "/a.png\n", "# a comment\n\n/a.png\r\n", "/a.png\n/b.png\n"):
        keep.write_text(text)
        found.append(_prepare(**options).fingerprints)
    digests = [fingerprint.deduplicator for fingerprint in found]
    assert digests[0] == digests[1] and digests[2] == digests[3] and len(set(digests)) == 3
    assert len({dataclasses.replace(item, deduplicator="") for item in found}) == 1


def test_the_images_that_are_excluded_change_the_first_step_alone(image_folder, tmp_path):
    """A comment changes nothing; the steps that follow see other images."""
    listed = tmp_path / "removed.txt"
    found = []
    for text in ("", "# a comment\n", "cat/000.png\n", "cat/000.png\ncat/001.png\n"):
        listed.write_text(text)
        source, root = f"folder:{image_folder}", str(tmp_path / "root")
        found.append(_prepare(source=source, root=root, exclude=str(listed)).fingerprints)
    digests = [fingerprint.image_example_gen for fingerprint in found]
    assert digests[0] == digests[1] and len(set(digests)) == 3
    assert len({dataclasses.replace(item, image_example_gen="") for item in found}) == 1


def test_a_given_accuracy_is_kept_even_if_it_is_zero(tmp_path):
    assert _prepare(root=str(tmp_path)).min_accuracy is None  # the largest class decides
    assert _prepare(root=str(tmp_path), min_accuracy=0.0).min_accuracy == 0.0


def test_other_classes_make_another_pipeline_name(tmp_path, image_folder):
    """A blessed model with other classes is not a baseline."""
    folder = tmp_path / image_folder.name
    shutil.copytree(image_folder, folder)
    names = [_prepare(source=f"folder:{folder}", root=str(tmp_path / "root")).name]
    shutil.copytree(folder / "cat", folder / "ant")
    names.append(_prepare(source=f"folder:{folder}", root=str(tmp_path / "root")).name)
    stems = {name.rpartition("-")[0] for name in names}
    assert len(stems) == 1 and len(set(names)) == 2


def test_default_root_belongs_to_one_source(tmp_path, image_folder, monkeypatch):
    """Or a model of one source would be compared with, and served as, one of the other."""
    monkeypatch.chdir(tmp_path)
    for parent in ("a", "b"):
        shutil.copytree(image_folder, tmp_path / parent / "pets")
    assert _prepare(source="folder:a/pets").root == str(tmp_path / "runs" / "pets")
    assert _prepare(source="folder:a/pets").root == str(tmp_path / "runs" / "pets")
    with pytest.raises(ValueError, match="runs/pets is that of folder:a/pets, not of folder:b"):
        _prepare(source="folder:b/pets")
    assert _prepare(source="folder:b/pets", name="other").root.endswith("runs/other")


def test_a_chosen_root_of_another_source_is_noted(tmp_path, capsys):
    preparation.claim_root(str(tmp_path), "folder:a", is_default=False)
    preparation.claim_root(str(tmp_path), "folder:a", is_default=False)
    assert capsys.readouterr().out == ""
    preparation.claim_root(str(tmp_path), "folder:b", is_default=False)
    assert "held the runs of folder:a before" in capsys.readouterr().out


def test_root_in_a_bucket_is_refused():
    with pytest.raises(ValueError, match="--root must be a folder on this machine"):
        _prepare(root="gs://bucket/root")


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """An empty cache, and nothing that can be reached."""
    monkeypatch.setenv("MIXER_TF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")


def test_missing_weights_are_noticed_before_the_root_is_claimed(tmp_path, image_folder, offline):
    options = dict(source=f"folder:{image_folder}", recipe="finetune_pets")
    with pytest.raises(DownloadError, match="could not be downloaded: .* and put it at"):
        _prepare(**options, root=str(tmp_path / "root"))
    assert not (tmp_path / "root").exists()
    _prepare(**options, root=str(tmp_path / "root"), from_step="Evaluator")
    _prepare(**options, root=str(tmp_path / "root"), to_step="Preprocessor")


def test_it_is_known_without_tfx_which_runs_include_the_trainer(tmp_path):
    config = _prepare(root=str(tmp_path))
    config = dataclasses.replace(
        config, warm_start=True, infra_validator="docker", predict="images:/new"
    )
    nodes = [node.id for node in create_pipeline(config).components]
    for step in nodes:
        pipeline = create_pipeline(config)
        assert preparation.trains(step, None) == ("Trainer" in select(pipeline, step, None))
        assert preparation.trains(None, step) == ("Trainer" in select(pipeline, None, step))
