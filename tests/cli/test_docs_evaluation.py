# SPDX-License-Identifier: Apache-2.0
"""docs/evaluation.md: its commands run in their order, its options and figures are the code's."""

import json
import pathlib
import re
import shlex
import shutil

import pytest

from mixer_tf.cli.evaluate import evaluate
from mixer_tf.evaluation import calibration, comparison, mistakes, real_labels, report
from mixer_tf.evaluation import page as evaluation_page

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "evaluation.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_figures_are_those_of_the_code():
    assert f"in {calibration.NUM_BINS}\nequally wide bins" in TEXT
    assert f"{comparison.NUM_RESAMPLES:,} resamples" in TEXT
    assert f"the {real_labels.NUM_EMPTY:,} images without a label" in TEXT
    assert f"{real_labels.NUM_IMAGES - real_labels.NUM_EMPTY:,} are scored" in TEXT
    assert f"the {report.MAX_MISTAKES} most confident mistakes" in TEXT
    assert f"the {mistakes.MAX_PAGE_MISTAKES} most confident and" in TEXT
    assert f"up to {evaluation_page.MAX_CLASSES} classes" in TEXT
    assert f"matrix of up to {evaluation_page.MAX_MATRIX} classes" in TEXT


def test_options_exist_and_links_too():
    known = {option for param in evaluate.params for option in param.opts}
    own = set(re.findall(r"(--[a-z][a-z-]+)", TEXT)) - {
        "--set",
        "--deduplicate",
        "--output",
        "--epochs",
    }
    assert own <= known and {"--csv", "--html", "--real", "--match"} <= own
    for name in re.findall(r"\]\(([\w./-]+)\)", TEXT):
        assert (PAGE.parent / name).exists(), name


@pytest.mark.slow
def test_commands_run(mixer, trained, image_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(image_folder, "pets")
    for name in ("pets-model", "other-model"):
        shutil.copytree(trained.output / "serving", name)
    blocks = re.findall(r"^```sh\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    results = [mixer(*shlex.split(line)[1:]) for line in "".join(blocks).splitlines()]
    assert len(results) == 3
    for result in results:
        assert result.exit_code == 0, result.output
    assert pathlib.Path("evaluation.html").exists() and pathlib.Path("predictions.csv").exists()
    assert json.loads(results[1].stdout)["images"] == 40
    assert " 0       0                   0  1" in results[2].stdout  # the same model twice
