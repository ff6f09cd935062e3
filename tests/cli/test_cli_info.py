# SPDX-License-Identifier: Apache-2.0
"""`mixer info`: the size and cost of a model."""

import subprocess
import sys


def test_a_model_of_the_paper(mixer):
    result = mixer("info", "B/16")
    assert result.exit_code == 0, result.output
    lines = {line.split("  ")[0]: line.split() for line in result.output.splitlines() if line}
    assert result.output.startswith("mixer_b16: images of 224x224 pixels, 1,000 classes\n")
    assert lines["stem"][1:] == ["14x14x768", "1", "590,592", "115.61", "M"]
    assert lines["MixerBlock/token_mixing"][1:4] == ["196x768", "12", "1,813,296"]
    assert lines["total"][1:] == ["59,880,472", "12.60", "G"]
    assert lines["weights"][1:] == ["239.5", "MB"]
    assert "paper, Table 1: 59 million parameters" in result.output
    assert lines["ImageNet-21k"][1:] == [
        "3",
        "300",
        "224",
        "80.64",
        "85.80",
        "92.50",
        "1,384",
        "150",
    ]
    assert "JFT-300M" in lines and "estimate" in result.output


def test_a_model_that_the_paper_does_not_have(mixer):
    result = mixer("info", "mixer_s4", "--image-size=32", "--num-classes=10")
    assert result.exit_code == 0, result.output
    assert result.output.endswith("\nThe paper reports no results for this model.\n")
    assert "Table 1" not in result.output


def test_help_has_an_example(mixer):
    assert "\n    mixer info mixer_b16" in mixer("info", "--help").output


def test_an_unknown_name(mixer):
    result = mixer("info", "mixer_x99")
    assert result.exit_code == 1
    assert result.output.startswith("Error: unknown model 'mixer_x99'.")


def test_without_tensorflow():
    code = (
        "import sys; from click.testing import CliRunner; from mixer_tf.cli import main\n"
        "result = CliRunner().invoke(main, ['info', 'mixer_h14'])\n"
        "assert result.exit_code == 0, result.output\n"
        "print([name for name in ('tensorflow', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
