# SPDX-License-Identifier: Apache-2.0
"""`mixer plot` on a model of `mixer train`."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from mixer_tf.checkpoints import downloading
from mixer_tf.checkpoints.published import KNOWN


def test_filters_of_a_trained_model(mixer, trained, tmp_path):
    output = tmp_path / "plots"
    result = mixer("plot", "filters", trained.output, f"--output={output}", "--blocks=1")
    assert result.exit_code == 0, result.output
    names = ["stem.png", "token_mixing_1.png", "filters.csv", "filters.html"]
    assert result.output == "".join(f"plot  {output}/{name}\n" for name in names)
    for name in names[:2]:
        assert Image.open(output / name).mode == "RGB"


def test_filters_of_two_models_and_the_name_of_a_published_one(
    mixer, trained, tmp_path, monkeypatch
):
    """The published one is in the cache, where a download would put it."""
    monkeypatch.setenv(downloading.CACHE_VARIABLE, str(tmp_path))
    name, output = "mixer_b16_imagenet21k", tmp_path / "plots"
    path = pathlib.Path(downloading.cached_path(KNOWN[name].url))
    path.parent.mkdir(parents=True)
    np.savez(path, **{"stem/kernel": np.random.default_rng(0).normal(size=(16, 16, 3, 9))})
    options = (f"--output={output}", "--layers=stem")
    one = mixer("plot", "filters", trained.output, f"--output={tmp_path / 'one'}", "--layers=stem")
    both = mixer("plot", "filters", trained.output, name, *options)
    assert one.exit_code == both.exit_code == 0, both.output
    width = Image.open(tmp_path / "one" / "stem.png").width
    assert Image.open(output / "stem.png").width > width
    assert f"\n{name},stem,0," in (output / "filters.csv").read_text()
    twice = mixer("plot", "filters", name, name)
    assert twice.exit_code == 2 and "each MODEL must be given once." in twice.output


@pytest.mark.parametrize("words", [["plot"], ["plot", "filters"]])
def test_help_has_an_example(mixer, words):
    result = mixer(*words, "--help")
    assert result.exit_code == 0
    assert "\n    mixer plot filters pets-model" in result.output


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--blocks=one", "must look like 0,1,2; got one."),
        ("--grid=14", "must look like 7x14; got 14."),
        ("--grid=0x4", "must be numbers of at least 1; got 0x4."),
    ],
)
def test_options_that_are_not_numbers(mixer, option, message):
    result = mixer("plot", "filters", "model.npz", option)
    assert result.exit_code == 2
    assert message in result.output


def test_no_model(mixer, tmp_path):
    result = mixer("plot", "filters", tmp_path / "none.npz")
    assert result.exit_code == 1
    assert result.output == f"Error: there is no checkpoint at {tmp_path / 'none.npz'}.\n"
