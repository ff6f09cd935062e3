# SPDX-License-Identifier: Apache-2.0
"""Paths are never patterns: characters of patterns in each path of `mixer` and of the pipeline."""

import shutil

import pytest
from click.testing import CliRunner

from mixer_tf import recipes
from mixer_tf.checkpoints import load_weights, save_npz
from mixer_tf.factory import create_model
from mixer_tf.serving import locations
from pipeline import local_runner
from pipeline.configs import PipelineConfig

ODD_NAME = "pe[t]s *?\\x #%20\n{a,b}"
TINY_MIXER = {"patch_size": 4, "num_blocks": 1, "hidden_dim": 8, "tokens_mlp_dim": 8}


@pytest.fixture
def fails_to_open(monkeypatch):
    """Opening a source is work: a bad path must be refused before it."""

    def fail(*_):
        raise AssertionError("the source was opened")

    monkeypatch.setattr("mixer_tf.datasets.sources.opening.open_source", fail)


@pytest.mark.parametrize("path", ["a[b]", "a*b", "a?b", "a\\b", "a\udcffb"])
def test_what_tensorflow_cannot_load_is_refused_before_any_work(
    mixer, tmp_path, monkeypatch, fails_to_open, path
):
    monkeypatch.chdir(tmp_path)
    for arguments, name in [
        (["train", "--source=digits", f"--output={path}"], "--output"),
        (["upscale", "model", path], "OUTPUT"),
        (["predict", path, "a.png"], "MODEL"),
    ]:
        result = mixer(*arguments)
        assert result.exit_code == 1
        assert result.output.startswith(f"Error: {name} must ")
        assert result.output.count("\n") == 1
    result = CliRunner().invoke(local_runner.main, ["--verbose", f"--root={path}"])
    assert str(result.exception).startswith("--root must ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("field", ["root", "serving_dir"])
def test_a_configuration_has_no_patterns(field):
    values = {"name": "pets", "root": "/root", "source": "digits", field: "/a/b[c]"}
    with pytest.raises(ValueError, match=rf"^{field} must have none of \[ \] \* \? "):
        PipelineConfig(recipe=recipes.get("digits"), **values)


def test_a_source_and_an_image_may_have_any_name(mixer, trained, image_folder, tmp_path):
    folder = tmp_path / ODD_NAME
    shutil.copytree(image_folder, folder)
    rows = [f"{name}/{i:03d}.png,{name}" for name in ("cat", "dog") for i in range(9)]
    (folder / "list.csv").write_text("\n".join(["path,label", *rows]))
    image = folder / ODD_NAME
    shutil.copyfile(folder / "cat/000.png", image)
    for source in (f"folder:{folder}", f"csv:{folder / 'list.csv'}"):
        result = mixer("evaluate", trained.output, f"--source={source}", "--split=all")
        assert result.exit_code == 0, result.output
    result = mixer("predict", trained.output, image)
    assert result.exit_code == 0, result.output


def test_weights_may_have_any_name(mixer, tmp_path):
    model = create_model("mixer", image_size=8, num_classes=2, channels_mlp_dim=8, **TINY_MIXER)
    folder = tmp_path / ODD_NAME
    folder.mkdir()
    save_npz(model, folder / "a.npz")
    result = mixer("convert", folder / "a.npz", folder / "[b]*?\\.safetensors")
    assert result.exit_code == 0, result.output
    load_weights(model, folder / "[b]*?\\.safetensors")
    result = mixer("plot", "filters", folder / "a.npz", f"--output={folder / 'plots[1]'}")
    assert result.exit_code == 0, result.output
    assert list((folder / "plots[1]").iterdir())


def test_the_folder_of_a_pattern_is_named_escaped(mixer, tmp_path):
    folder = tmp_path / "a[b]"
    folder.mkdir()
    (folder / "x.tfrecord").touch()
    result = mixer("train", f"--source=tfrecord:{folder}/x.tfrecord")
    assert f"Use tfrecord:{tmp_path}/a[[]b]/x.tfrecord." in result.output
    result = mixer("train", f"--source=tfrecord:{folder}")
    assert f"Use tfrecord:{tmp_path}/a[[]b]/*.tfrec*." in result.output


@pytest.mark.parametrize("name", ["a b #%20", "a\nb", "{a,b}"])
def test_a_model_with_other_odd_characters_is_found(mixer, trained, image_folder, tmp_path, name):
    shutil.copytree(trained.output / "serving", tmp_path / name / "serving")
    assert locations.resolve_saved_model(str(tmp_path / name)).endswith("serving/1")
    result = mixer("predict", tmp_path / name, image_folder / "cat/000.png")
    assert result.exit_code == 0, result.output
