# SPDX-License-Identifier: Apache-2.0
"""`mixer plan`, and the training that is compared with it."""

import importlib
import json
import os
import shlex
import shutil

import pytest

from mixer_tf import create_model, recipes, save_npz, upscale
from mixer_tf.benchmarks import machine
from mixer_tf.datasets.sources import opening
from mixer_tf.features import TRAIN
from mixer_tf.planning import measurement, plan_file, planner, run_costs, sample
from mixer_tf.recipes.schema import Recipe


def test_the_authors_training(mixer):
    result = mixer(
        *("plan", "pretrain_imagenet_b16", "--images=1281167", "--classes=1000"),
        *("--devices=128", "--no-measure"),
    )
    assert result.exit_code == 0, result.output
    rows = {line[:18].strip(): line.split() for line in result.output.splitlines()}
    v3 = rows["TPU v3 core x 128"]
    assert v3[5:10] == ["48,933", "83.7", "2.2", "h", "11.6"]
    assert "93,835 steps" in result.output and "47% of the peak rate of a TPU" in result.output
    assert "paper    11.6 core-days of TPU v3: outside the paper's frontier" in result.output
    assert "the paper's best is Mixer-B/32: 75.53 %" in result.output


def test_prices_and_utilization_are_the_users(mixer):
    base = ("plan", "photos", "--images=100000", "--classes=10", "--no-measure", "--json")
    listed, own = (
        json.loads(mixer(*base, *more).output)["estimates"]["a100"]
        for more in ((), ("--price", "a100=1.37", "--utilization=0.125"))
    )
    assert own["seconds"] == pytest.approx(2 * listed["seconds"])  # half of 47 %
    assert own["dollars"] == pytest.approx(listed["dollars"])  # half of 2.74 $ for twice the time


def test_weights_for_smaller_images_are_upscaled_in_the_plan_too(mixer, tmp_path):
    """A plan once counted the recipe's model, which the training then did not build."""
    smaller = create_model("mixer_s16", image_size=32, num_classes=10, num_blocks=2)
    save_npz(smaller, tmp_path / "smaller.npz")
    result = mixer(
        *("plan", "photos", "--images=1000", "--classes=10", "--no-measure"),
        *("--set", "model.name=mixer_s16", "--set", "model.image_size=64"),
        *("--set", "model.num_blocks=2", "--set", f"model.weights={tmp_path / 'smaller.npz'}"),
    )
    parameters = upscale(smaller, 2).count_params()
    assert f"{parameters:,} parameters" in result.output, result.output


def test_a_budget_on_a_device(mixer):
    base = (
        "plan",
        "photos",
        "--images=5000",
        "--classes=10",
        "--no-measure",
        "--on=a100",
        "--json",
    )
    found = json.loads(mixer(*base, "--budget=2min").output)["proposals"]
    assert found and all(each["seconds"] <= 120 for each in found)
    recipe = recipes.get("photos").override(found[0]["set"])
    assert recipe.training.epochs == 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give --source, or --images and --classes"),
        (["--images=5"], "give --source, or --images and --classes"),
        (["--source=digits", "--images=5"], "instead of --source"),
        (["--source=digits", "--eval-images=5"], "instead of --source"),
        (["--images=5", "--classes=2", "--price", "b100=1"], "must be DEVICE=DOLLARS"),
        (["--images=5", "--classes=2", "--price", "a100=-1"], "must be DEVICE=DOLLARS"),
        (["--images=5", "--classes=2", "--budget=2"], "such as 2h or 45min"),
        (["--images=5", "--classes=2", "--on=a10"], "Did you mean a100"),
        (["--images=5", "--classes=2", "--budget=2h", "--no-measure"], "use --on with tpu-v3"),
        (["--images=5", "--classes=2", "--on=a100"], "--on is the device of --budget; give"),
        (
            ["--images=5", "--classes=2", "--output=p.json", "--no-measure"],
            "--output is the plan of this machine; leave out --no-measure",
        ),
        (
            ["--images=5", "--classes=2", "--watts=0", "--no-measure"],
            "--watts is the power of this machine; leave out --no-measure",
        ),
        (
            ["--images=5", "--classes=2", "--price=a100=1", "--price=here=0", "--no-measure"],
            "--price here is the price of this machine; leave out --no-measure",
        ),
    ],
)
def test_wrong_options(mixer, options, message):
    result = mixer("plan", "photos", *options)
    assert result.exit_code and message in " ".join(result.output.split()), result.output


@pytest.fixture(scope="module")
def planned(mixer, image_folder, tiny_options, tmp_path_factory):
    """The result of `mixer plan` of a training of seconds, measured on this machine."""
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    patch = pytest.MonkeyPatch()
    patch.setattr(measurement, "SECONDS", 0.5)
    arguments = [f"--source=folder:{image_folder}", *tiny_options, f"--output={path}"]
    try:
        result = mixer("plan", *arguments, "--price", "here=0.5", "--watts=100")
    finally:
        patch.undo()
    assert result.exit_code == 0, result.output
    return result.output, path


@pytest.mark.slow
def test_this_machine_is_measured(planned):
    output, path = planned
    (row,) = (line for line in output.splitlines() if line.startswith("this machine ("))
    assert "measured batches of 8 on this machine" in output
    assert json.loads(path.read_text())["seconds_per_step"] > 0
    assert "-" not in row.split(")")[1].split()  # its energy and price are known


@pytest.mark.slow
def test_a_training_is_compared_with_its_plan(planned, mixer, image_folder, tiny_options, tmp_path):
    _, path = planned
    arguments = [f"--source=folder:{image_folder}", *tiny_options, f"--plan={path}"]
    result = mixer("train", *arguments, f"--output={tmp_path / 'run'}")
    assert result.exit_code == 0, result.output
    (line,) = (line for line in result.output.splitlines() if line.startswith("planned "))
    lines = result.output.splitlines()
    (before,) = (number for number, line in enumerate(lines) if line.startswith("expected "))
    assert before < lines.index(line) and " images/s; about " in lines[before]
    seconds = json.loads(path.read_text())["seconds"]
    assert line.startswith(f"planned {seconds:,.0f} s, ") and "; actual " in line


def test_the_cost_of_a_run_from_its_logs(trained):
    found = run_costs.read(str(trained.output))
    timing = json.loads((trained.output / "timing.json").read_text())
    assert found.cores == timing["cores"] == len(os.sched_getaffinity(0))
    assert 0 < found.seconds <= timing["seconds"] + 1
    assert found.core_days == found.seconds * found.cores / 86_400
    assert found.images and 0 <= found.accuracy <= 1 and found.num_classes == 3
    assert found.recipe.training.batch_size == 8 and found.images_per_second > 0


def test_the_widths_of_a_run_are_those_of_its_model(trained, tmp_path):
    """Weights that were upscaled have a wider token mixing than the recipe of the training says."""
    shutil.copytree(trained.output, tmp_path / "run")
    (path,) = (tmp_path / "run").glob("serving/1/assets.extra/recipe.json")
    recipe = Recipe.from_json(path.read_text())
    wider = recipe.replace(model=recipe.model.replace(tokens_mlp_dim=77))
    path.write_text(wider.to_json())
    assert run_costs.read(str(tmp_path / "run")).recipe.model.fields["tokens_mlp_dim"] == 77


@pytest.mark.parametrize(
    "arguments",
    [
        ["--source=digits"],
        ["--source=digits", "photos", "--set", "training.epochs=3", "--data-dir=/d"],
        ["--source=csv:my list.csv", "--columns=photo,species", "--epochs=2", "--batch-size=8"],
        ["--images=50", "--classes=2"],
        ["digits", "--images=50", "--classes=2", "--learning-rate=0.01"],
    ],
)
def test_the_printed_command_trains_the_planned_recipe(mixer, tmp_path, monkeypatch, arguments):
    def measure(planner, source):
        planner.measurement = measurement.Measurement(1, 0.1, 0, 0, 8, 1e9)
        planner.machine = machine.Machine("this machine", 2, 10**9)

    requests = []
    monkeypatch.setattr(planner.Planner, "measure", measure)
    monkeypatch.setattr(planner.Planner, "count", lambda planner, *_: planner.set_size(50, 5, 2))
    monkeypatch.setattr(opening, "open_source", lambda *_: object())
    monkeypatch.setattr(importlib.import_module("mixer_tf.cli.train"), "_train", requests.append)
    result = mixer("plan", *arguments, f"--output={tmp_path / 'my plan.json'}")
    assert result.exit_code == 0, result.output
    (line,) = (line for line in result.output.splitlines() if line.startswith("next "))
    _, program, *words = shlex.split(line.replace("--source=SOURCE", "--source=digits"))
    assert os.path.basename(program) == "mixer"
    result = mixer(*words)
    assert result.exit_code == 0, result.output
    (request,) = requests
    planned = json.loads((tmp_path / "my plan.json").read_text())
    assert json.loads(request.recipe.to_json()) == planned["recipe"]
    assert request.planned.images == 50
    assert request.data_dir == ("/d" if "--data-dir=/d" in arguments else None)
    assert "SOURCE" in line or arguments[0].startswith("--source=")


@pytest.mark.parametrize(("images", "has_note"), [(999, True), (None, False)])
def test_a_plan_for_other_images_is_noted(
    mixer, image_folder, tiny_options, tmp_path, monkeypatch, images, has_note
):
    from mixer_tf.training import from_source

    def train_prepared(info, *_, **__):
        raise ValueError("it must not train.")

    monkeypatch.setattr(from_source, "train_prepared", train_prepared)
    source = opening.open_source(f"folder:{image_folder}")
    path, recipe = str(tmp_path / "plan.json"), recipes.default_for(source.spec)
    number = sample.count_images(source)[TRAIN]
    plan_file.write(path, recipe.override(tiny_options[1::2]), images or number, 10, 0.1)
    result = mixer(
        *("train", f"--source={source.spec}", *tiny_options, f"--plan={path}"),
        f"--output={tmp_path / 'run'}",
    )
    assert "it must not train." in result.output
    text = f"{path} is for 999 training images, unusable ones included; this training has {number}"
    assert (f"note: {text}" in result.output) is has_note


@pytest.mark.slow
def test_a_plan_for_another_recipe(planned, mixer, image_folder, tmp_path):
    _, path = planned
    result = mixer(
        *("train", f"--source=folder:{image_folder}", f"--plan={path}"),
        f"--output={tmp_path / 'run'}",
    )
    assert result.exit_code == 1 and "is for another one" in result.output
    assert not (tmp_path / "run").exists()
