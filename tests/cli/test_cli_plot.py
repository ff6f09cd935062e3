# SPDX-License-Identifier: Apache-2.0
"""`mixer plot` on a model of `mixer train`."""

import pytest
from PIL import Image


def test_filters_of_a_trained_model(mixer, trained, tmp_path):
    output = tmp_path / "plots"
    result = mixer("plot", "filters", trained.output, f"--output={output}", "--blocks=1")
    assert result.exit_code == 0, result.output
    names = ["stem.png", "token_mixing_1.png"]
    assert result.output == "".join(f"plot  {output}/{name}\n" for name in names)
    for name in names:
        assert Image.open(output / name).mode == "RGB"


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
