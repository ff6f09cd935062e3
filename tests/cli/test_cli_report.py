# SPDX-License-Identifier: Apache-2.0
"""`mixer report` on the output of a real `mixer train`."""

import html
import json
import re
import shutil

from mixer_tf import recipes
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.evaluation.fewshot import ShotsResult
from mixer_tf.evaluation.fewshot_report import FewShotReport
from mixer_tf.evaluation.vtab.report import VtabReport


def words(path) -> str:
    """The text of a page."""
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", path.read_text("utf-8"))).split())


def test_the_page_of_a_training(mixer, trained, bad_folder):
    result = mixer("report", trained.output)
    assert result.exit_code == 0, result.output
    shown = words(trained.output / "report.html")
    info = DatasetInfo.read(str(trained.output / "data"))
    assert f"images used {info.examples['train']} train" in shown
    assert f"{len(bad_folder.bad)} images cannot be used" in shown
    assert "cat/cut off.jpg" in shown
    epochs = recipes.get("photos").training.epochs
    assert f"training.epochs {epochs} 2" in shown and "model.hidden_dim" in shown
    assert "Best top-1 on the evaluation split" in shown
    assert "was not evaluated on the test split" in shown
    assert f"--source=folder:{bad_folder.path}" in shown
    top_1 = re.search(r"top-1 +([\d.]+) on the eval split", trained.printed)[1]
    assert f"evaluation split: {top_1} after step" in shown


def test_evaluate_gives_the_figures_of_mixer_evaluate(mixer, trained, bad_folder, tmp_path):
    page = tmp_path / "page.html"
    result = mixer("report", trained.output, "--evaluate", f"--output={page}")
    assert result.exit_code == 0, result.output
    source = f"--source=folder:{bad_folder.path}"
    expected = mixer("evaluate", trained.output, source, "--json")
    found = json.loads(expected.stdout[expected.stdout.index("{") :])
    shown = words(page)
    assert f"top-1 accuracy {found['top_1']:.4f}" in shown
    wrong = [prediction for prediction in found["predictions"] if not prediction["correct"]]
    assert (f"{len(wrong)} mistake" in shown) if wrong else ("Mistakes None." in shown)
    assert page.read_text("utf-8").count('<img src="data:image/jpeg') == min(len(wrong), 20)


def test_saved_results_of_mixer_evaluate_are_shown(mixer, trained, bad_folder, tmp_path):
    output = tmp_path / "copy"
    shutil.copytree(trained.output, output)
    source = f"--source=folder:{bad_folder.path}"
    found = mixer("evaluate", trained.output, source, "--split=all", "--json").stdout
    (output / "evaluation.json").write_text(found, "utf-8")
    few_shot = FewShotReport([ShotsResult(5, (0.75, 0.875), 15)], (0, 1), {"model": "m"})
    (output / "fewshot.json").write_text(few_shot.to_json(), "utf-8")
    result = {"task": "cifar", "group": "natural", "accuracies": [0.25], "mean": 0.25}
    vtab = VtabReport([result], {}, {"model": "m"})
    (output / "vtab.json").write_text(vtab.to_json(), "utf-8")
    (output / "real_labels.json").write_text('{"accuracy": 0.625, "results": [1]}', "utf-8")
    assert mixer("report", output).exit_code == 0
    shown = words(output / "report.html")
    top_1 = json.loads(found)["top_1"]
    assert "split, 48 images:" in shown and f"top-1 accuracy {top_1:.4f}" in shown
    assert "top-5" not in shown  # of three classes
    assert "fewshot figure value 5-shot 0.8125 ± 0.0884 model m" in shown
    assert "vtab figure value natural 0.2500 mean of 1 task 0.2500 model m" in shown
    assert "real labels figure value accuracy 0.6250" in shown
    several = f'{{"comparisons": [], "models": [{found}, {found}]}}'
    for content, reason in (
        ("{}", "prints of one model; 'top_1'. Write it again, or remove it."),
        (several, "prints of one model; this has 2."),
    ):
        (output / "evaluation.json").write_text(content, "utf-8")
        result = mixer("report", output)
        assert result.exit_code == 1 and reason in result.output


def test_json_has_the_facts_and_writes_no_page(mixer, trained, tmp_path):
    output = tmp_path / "copy"
    shutil.copytree(trained.output, output, ignore=shutil.ignore_patterns("report.html"))
    result = mixer("report", output, "--json")
    found = json.loads(result.stdout)
    assert found["kind"] == "training" and found["state"] == "complete"
    assert [*found["training"]["scalars"]["eval/top_1"]]
    assert not (output / "report.html").exists()


def test_what_is_no_run_is_one_clear_line(mixer, tmp_path):
    for path, reason in ((tmp_path, "is neither"), (tmp_path / "nowhere", "does not exist")):
        result = mixer("report", path)
        assert result.exit_code == 1
        (line,) = result.output.strip().splitlines()
        assert line.startswith("Error: ROOT must be the root of a pipeline") and reason in line
    result = mixer("report", tmp_path, "--output=a.png")
    assert result.exit_code == 2 and "must end in .html" in result.output
    result = mixer("report", tmp_path, f"--output={tmp_path / 'none' / 'a.html'}")
    assert result.exit_code == 1 and "must be in a folder that exists" in result.output


def test_trainings_of_a_folder_are_listed(mixer, trained):
    result = mixer("runs", trained.output.parent)
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.output.splitlines() if "my pets" in line]
    top_1 = re.search(r"top-1 +([\d.]+) on the eval split", trained.printed)[1]
    assert "complete" in line and "photos" in line and f"  {top_1}  " in line


def test_the_card_of_the_model_is_beside_it(trained, bad_folder):
    path = trained.output / "serving" / "1" / "assets.extra" / "MODEL_CARD.md"
    assert f"card     {path}\n" in trained.printed
    card = path.read_text("utf-8")
    assert f"- unusable images, left out: {len(bad_folder.bad)}\n" in card
    top_1 = re.search(r"top-1 +([\d.]+) on the eval split", trained.printed)[1]
    assert f"| top-1 accuracy | {top_1} |" in card and "été 夏" in card
