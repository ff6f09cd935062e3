# SPDX-License-Identifier: Apache-2.0
"""The pipeline from the command line: digits in, a served model out, and every way to fail."""

import dataclasses
import itertools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf
from click.testing import CliRunner, Result

from mixer_tf import cli
from mixer_tf.datasets.sources import opening
from mixer_tf.reports.facts import RunFacts
from pipeline import local_runner

ROOT = pathlib.Path(__file__).parents[2]
FAST = ["--set", "training.epochs=2"]


def _run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.local_runner", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
    )


def _run_in_this_process(*arguments: str) -> Result:
    """Saves the seconds in which a new process imports TFX."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_runner.console, "silence_libraries", lambda: None)
        return CliRunner().invoke(local_runner.main, arguments)


def _summary(root: pathlib.Path) -> dict:
    return json.loads((root / "summary.json").read_text())


def _records(spec: str):
    source = opening.open_source(spec)
    return itertools.chain.from_iterable(map(source.read, source.shards_of("train")))


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    root = tmp_path_factory.mktemp("digits run")
    result = _run("--source=digits", f"--root={root}", "--min-accuracy=0.2", *FAST)
    assert result.returncode == 0, result.stdout + result.stderr
    return root, result, _summary(root)


@pytest.mark.e2e
def test_first_run_pushes_a_model_and_says_so(first_run):
    root, result, summary = first_run
    assert summary["reason"] == ""
    assert pathlib.Path(summary["pushed_model"]).parent == root / "serving"
    assert (pathlib.Path(summary["pushed_model"]) / "saved_model.pb").exists()
    assert sum(summary["examples"].values()) == 1797
    assert summary["duplicates_removed"] == summary["unusable"] == 0
    assert summary["metrics"]["example_count"] == summary["examples"]["test"]
    assert len(summary["steps"]) == 15
    assert not any(step["cached"] for step in summary["steps"].values())
    assert "[15/15] RunReport" in result.stdout
    assert summary["pushed_model"] in result.stdout
    assert os.listdir(root / "checkpoints") == []


@pytest.mark.e2e
def test_the_page_and_the_record_of_the_run_have_its_results(first_run):
    root, result, summary = first_run
    page = pathlib.Path(summary["report_page"])
    assert f"  report       {page}\n" in result.stdout
    assert f"{summary['metrics']['accuracy']:.4f}" in page.read_text("utf-8")
    (record,) = (root / "reports").iterdir()
    run = RunFacts.from_json(record.read_text("utf-8"))
    assert run.state == "complete" and run.root == str(root)
    assert {step.name for step in run.steps} == set(summary["steps"])
    assert run.push.destination == summary["pushed_model"]
    assert run.evaluation.metrics["accuracy"] == summary["metrics"]["accuracy"]
    assert run.training.scalars["eval/top_1"][-1][0] > 0
    command = run.commands[0].text
    assert "--source=digits" in command and "--min-accuracy=0.2" in command
    assert RunFacts.from_json((page.parent / "report.json").read_text("utf-8")).data == run.data
    made = CliRunner().invoke(cli.main, ["report", str(root)])
    assert made.exit_code == 0 and (root / "report.html").exists(), made.output


@pytest.mark.e2e
def test_the_predict_command_can_be_pasted(first_run):
    root, _, summary = first_run
    assert (root / "sample.png").exists()
    result = subprocess.run(
        shlex.split(summary["predict"]), cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "sample.png" in result.stdout


@pytest.mark.slow
@pytest.mark.e2e
def test_anomalies_stop_the_push_and_the_summary_says_which(tmp_path):
    """Some of the TFRecords have no label."""
    path = str(tmp_path / "digits.tfrecord")
    records = list(itertools.islice(_records("digits"), 150))
    with tf.io.TFRecordWriter(path) as writer:
        for number, record in enumerate(records):
            label = None if number % 9 == 0 else record.label
            writer.write(dataclasses.replace(record, label=label, class_name="").to_example())
    root = tmp_path / "root"
    arguments = [f"--root={root}", "--min-accuracy=0", "--recipe=digits", *FAST]
    result = _run(f"--source=tfrecord:{path}", *arguments)
    assert result.returncode == 0, result.stderr
    summary = _summary(root)
    assert summary["pushed_model"] is None and not (root / "serving").exists()
    assert summary["unusable"] == 17
    assert summary["reason"].startswith("anomalies in ")
    assert "image/class/label: The feature was present in fewer examples" in summary["reason"]
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("  pushed ")]
    assert line.endswith(summary["reason"])


@pytest.mark.e2e
def test_console_shows_only_our_lines(first_run):
    _, result, _ = first_run
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) < 40


@pytest.mark.e2e
def test_pushed_model_serves_with_plain_tensorflow_only(first_run):
    """A process without mixer_tf classifies the digits with the accuracy that TFMA measured."""
    _, _, summary = first_run
    program = (
        "import io, sys, numpy as np, tensorflow as tf\n"
        "from sklearn.datasets import load_digits\n"
        "from PIL import Image\n"
        "model = tf.saved_model.load(sys.argv[1])\n"
        "images, labels = load_digits(return_X_y=True)\n"
        "def png(row):\n"
        "    out = io.BytesIO()\n"
        "    Image.fromarray((row.reshape(8, 8) * 255 / 16).astype('uint8')).save(out, 'PNG')\n"
        "    return out.getvalue()\n"
        "served = model.signatures['serving_default'](\n"
        "    image_bytes=tf.constant([png(row) for row in images]))\n"
        "names = served['class_names'].numpy()[:, 0].astype(int)\n"
        "assert not [name for name in sys.modules if name.startswith('mixer_tf')]\n"
        "print((names == labels).mean())\n"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", program, summary["pushed_model"]],
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) == pytest.approx(summary["metrics"]["accuracy"], abs=0.1)


@pytest.mark.e2e
def test_second_run_is_cached_and_pushes_nothing_new(first_run):
    root, _, first = first_run
    arguments = ["--source=digits", f"--root={root}", "--min-accuracy=0.2", *FAST]
    arguments += ["--checkpoint-minutes=1", "--keep-checkpoints=1"]  # which no result depends on
    result = _run_in_this_process(*arguments)
    assert result.exit_code == 0, result.output
    summary = _summary(root)
    ran = {name for name, step in summary["steps"].items() if not step["cached"]}
    assert ran == {"ReferenceResolver", "Resolver", "DriftValidator", "Pusher", "RunReport"}
    assert summary["pushed_model"] is None
    assert "already" in summary["reason"]
    assert os.listdir(root / "serving") == [pathlib.Path(first["pushed_model"]).name]


@pytest.mark.slow
@pytest.mark.e2e
def test_unblessed_model_is_not_pushed_and_the_summary_says_why(first_run):
    root, _, first = first_run
    result = _run(
        "--source=digits", f"--root={root}", "--min-accuracy=1", "--from=Evaluator", *FAST
    )
    assert result.returncode == 0, result.stderr
    summary = _summary(root)
    assert set(summary["steps"]) == {"Evaluator", "ModelChecker", "Pusher", "RunReport"}
    assert summary["pushed_model"] is None
    assert "accuracy" in summary["reason"]
    assert os.listdir(root / "serving") == [pathlib.Path(first["pushed_model"]).name]


def test_unknown_step_names_the_nearest(tmp_path):
    result = _run_in_this_process("--from=Trainr", f"--root={tmp_path}")
    assert result.exit_code == 1
    assert "there is no step 'Trainr'. Did you mean Trainer?" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
@pytest.mark.e2e
def test_to_a_step_on_a_fresh_root(tmp_path):
    result = _run("--source=digits", f"--root={tmp_path}", "--to=ImageExampleGen")
    assert result.returncode == 0, result.stderr
    assert list(_summary(tmp_path)["steps"]) == ["ImageExampleGen"]
    assert (tmp_path / "ImageExampleGen").is_dir() and not (tmp_path / "Trainer").exists()


def test_from_without_an_earlier_run_says_what_to_do(tmp_path):
    result = _run_in_this_process("--from=Trainer", f"--root={tmp_path / 'empty'}")
    assert result.exit_code == 1
    assert "Run once without --from" in result.stderr


@pytest.mark.slow
@pytest.mark.e2e
def test_with_a_new_class_the_blessed_model_is_not_a_baseline(tmp_path, image_folder):
    """Its labels would mean other classes."""
    pets, root = tmp_path / "pets", tmp_path / "root"
    shutil.copytree(image_folder, pets)
    arguments = [f"--source=folder:{pets}", f"--root={root}", "--min-accuracy=0", *FAST]
    arguments += ["--recipe=digits", "--max-accuracy-drop=0"]
    assert _run(*arguments).returncode == 0
    assert _summary(root)["pushed_model"]
    shutil.copytree(pets / "cat", pets / "ant")
    result = _run(*arguments)
    assert result.returncode == 0, result.stderr
    summary = _summary(root)
    assert "Resolver" in summary["steps"] and "changed by" not in summary["reason"]


@pytest.mark.slow
@pytest.mark.e2e
def test_a_model_that_learned_nothing_is_neither_pushed_nor_a_baseline(
    tmp_path, write_image_folder
):
    pets, root = tmp_path / "pets", tmp_path / "root"
    for split, few in {"train": 4, "val": 1, "test": 1}.items():
        write_image_folder(pets / split, per_class=31)
        for image in sorted((pets / split / "dog").iterdir())[few:]:
            image.unlink()
    nothing = ["--recipe=digits", "--set", "optimizer.learning_rate=1e-12", "--deduplicate=off"]
    arguments = [f"--source=folder:{pets}", f"--root={root}", *nothing, "--set"]
    assert _run(*arguments, "training.epochs=1").returncode == 0
    summary = _summary(root)
    assert summary["pushed_model"] is None and not (root / "serving").exists()
    assert (
        "the Evaluator did not bless the model; accuracy 0.9688 is not above 0.9688"
        in (summary["reason"])
    )
    assert summary["warnings"] == ["the model predicted 'cat' for all 32 images of the test split"]
    assert "classes never recognized in the test split: 'dog' (0 of 1)" in summary["notes"]
    (blessing,) = root.glob("Evaluator/blessing/*/*")
    assert blessing.name == "NOT_BLESSED"

    result = _run(*arguments, "training.epochs=1", "--min-accuracy=0.5", "--from=Evaluator")
    assert result.returncode == 0, result.stderr
    assert _summary(root)["pushed_model"]
    assert "\n  WARNING      the model predicted 'cat' for all 32 images" in result.stdout


@pytest.mark.slow
@pytest.mark.e2e
def test_folder_without_a_usable_image_is_one_clear_line(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "bad" / name).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "bad" / name / f"{number}.jpg").write_text("not an image")
    result = _run(f"--source=folder:{tmp_path / 'bad'}", f"--root={tmp_path / 'root'}")
    assert result.returncode == 1
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("Error: Preprocessor: at least one training image of folder:")
    assert re.search(r"such as .*/bad/(cat|dog)/\d\.jpg", line)  # TFX removes the quarantine file


def test_folder_that_does_not_exist_is_one_clear_line(tmp_path):
    result = _run_in_this_process(f"--source=folder:{tmp_path / 'nowhere'}", f"--root={tmp_path}")
    assert result.exit_code == 1
    assert "nowhere" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_from_after_a_new_class_is_one_clear_line(tmp_path, write_image_folder):
    pets, root = tmp_path / "pets", tmp_path / "root"
    write_image_folder(pets)
    arguments = [f"--source=folder:{pets}", f"--root={root}", "--recipe=digits"]
    assert _run(*arguments, "--to=Deduplicator").returncode == 0
    write_image_folder(pets, classes=("owl",))
    result = _run(*arguments, "--from=Deduplicator", "--to=Deduplicator")
    assert result.returncode == 1 and "of this name with the same classes" in result.stderr
