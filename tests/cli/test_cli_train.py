# SPDX-License-Identifier: Apache-2.0
"""`mixer train` on a real folder with good and bad images, and the errors it raises."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest


def test_a_training_prints_what_it_did_and_the_next_commands(trained):
    assert "3 classes" in trained.printed
    assert "note: " in trained.printed and "empty class" in trained.printed
    assert "unusable 5, listed with the reason in " in trained.printed
    assert f"model    {trained.output}/serving/1" in trained.printed
    assert f"mixer evaluate '{trained.output}' --source=folder:" in trained.printed
    assert f"tensorboard --logdir '{trained.output}/logs'" in trained.printed
    assert re.fullmatch(r"photos-\d{8}-\d{6}", *os.listdir(trained.output / "logs"))


def test_the_plan_is_printed_before_the_training(trained):
    lines = trained.printed.splitlines()
    plan = next(index for index, line in enumerate(lines) if line.startswith("network  mixer, "))
    assert [line.split()[0] for line in lines[plan : plan + 5]] == [
        *("network", "length", "cost", "memory", "devices")
    ]
    assert lines[plan + 1].startswith("length   2 epochs, ")
    # A slow machine takes more than ten seconds, and the speed is shown as well.
    rest = [line for line in lines[plan + 5 :] if not line.startswith("speed    ")]
    assert rest[0].startswith("epoch 1/2")


@pytest.mark.slow
def test_a_training_says_what_its_accuracy_hides(mixer, write_image_folder, tmp_path, tiny_options):
    for split, per_class in {"train": 12, "val": 4}.items():
        write_image_folder(tmp_path / "pets" / split, per_class=per_class)
    shutil.rmtree(tmp_path / "pets" / "val" / "dog")
    arguments = (f"--source=folder:{tmp_path / 'pets'}", f"--output={tmp_path / 'output'}")
    result = mixer("train", *arguments, *tiny_options, "--set", "training.epochs=1")
    assert result.exit_code == 0, result.output
    assert "note: only 4 images in the eval split: the accuracy is a rough estimate; " in (
        result.output
    )
    assert "note: classes without an image in the eval split: 'dog'\n" in result.output
    assert "WARNING: all images of the eval split are of class 'cat', so that" in result.output


def test_the_output_holds_model_data_and_logs_and_no_checkpoints(trained):
    assert (trained.output / "serving" / "1" / "saved_model.pb").exists()
    assert (trained.output / "data" / "dataset.json").exists()
    assert list((trained.output / "logs").rglob("events*"))
    assert not (trained.output / "checkpoints").exists()
    lines = (trained.output / "data" / "quarantine.jsonl").read_text().splitlines()
    assert len(lines) == 5 and all(json.loads(line)["reason"] for line in lines)


def test_a_finished_model_is_not_overwritten(mixer, trained):
    result = mixer(*trained.arguments, "--set", "training.epochs=7")
    assert result.exit_code == 1
    assert f"{trained.output} holds a finished model already (training.epochs was" in result.output
    assert ", now 7), which --restart does not replace" in result.output


def test_what_a_kill_after_the_export_has_left_is_removed(mixer, trained, tmp_path):
    output = tmp_path / "output"
    shutil.copytree(trained.output, output)
    (output / "checkpoints").mkdir()
    (output / "checkpoints" / "best_weights.npz").touch()
    arguments = [f"--output={output}" if "--output" in word else word for word in trained.arguments]
    assert mixer(*arguments, "--restart").exit_code == 1
    result = mixer(*arguments, "--data-dir=my tfds")
    assert result.exit_code == 0, result.output
    assert "note: the training was complete already; nothing is trained" in result.output
    (evaluate,) = [line for line in result.output.splitlines() if "mixer evaluate" in line]
    assert shlex.split(evaluate)[-1] == "--data-dir=my tfds"
    assert f"model    {output}/serving/1" in result.output and "next:" in result.output
    assert not (output / "checkpoints").exists()


def test_what_a_kill_before_the_card_has_left_is_completed(mixer, trained, tmp_path):
    output = tmp_path / "output"
    shutil.copytree(trained.output, output)
    (card,) = (output / "serving" / "1").rglob("*.md")
    card.unlink()
    arguments = [f"--output={output}" if "--output" in word else word for word in trained.arguments]
    result = mixer(*arguments)
    assert result.exit_code == 0, result.output
    assert card.exists() and f"card     {card}" in result.output


def test_a_folder_with_other_files_is_not_touched(mixer, image_folder, tmp_path):
    (tmp_path / "thesis.tex").touch()
    result = mixer("train", f"--source=folder:{image_folder}", f"--output={tmp_path}")
    assert result.exit_code == 1
    assert "the output must be a new or empty folder" in result.output
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_an_unfinished_training_is_not_continued_with_another_recipe(mixer, trained, tmp_path):
    output = tmp_path / "output"
    shutil.copytree(trained.output, output, ignore=shutil.ignore_patterns("serving"))
    (output / "checkpoints").mkdir()
    (output / "checkpoints" / "checkpoint").touch()
    arguments = [f"--output={output}" if "--output" in word else word for word in trained.arguments]
    result = mixer(*arguments, "--set", "training.epochs=7")
    assert result.exit_code == 1
    assert (
        "unfinished training with another recipe (training.epochs was 2, now 7)." in result.output
    )


@pytest.mark.parametrize("where", ["datasets.sources.opening.open_source", "prepare"])
def test_ctrl_c_gives_the_exit_code_of_a_shell(mixer, tmp_path, monkeypatch, where):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        f"mixer_tf.{where.replace('prepare', 'training.from_source.prepare')}", stop
    )
    result = mixer("train", "--source=digits", f"--output={tmp_path / 'output'}")
    assert result.exit_code == 130
    assert result.output.startswith("\nStopped")
    assert not (tmp_path / "output").exists()


def test_an_output_in_use_is_one_clear_line(mixer, image_folder, tmp_path, tiny_options):
    output = tmp_path / "output"
    program = (
        "import sys\nfrom mixer_tf import locks\n"
        "with locks.exclusive(sys.argv[1], ''): print(flush=True), sys.stdin.read()"
    )
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", program, output], **pipes) as process:
        process.stdout.readline()
        result = mixer("train", f"--source=folder:{image_folder}", f"--output={output}")
        process.stdin.close()
    assert result.exit_code == 1
    assert f"it is in use by process {process.pid} since " in result.output
    assert result.output.count("\n") == 1


@pytest.mark.parametrize("options", [[], ["--restart"]])
def test_restart_discards_an_unfinished_training(mixer, tmp_path, monkeypatch, options):
    def prepare(*_, restart, **__):
        raise ValueError(f"restart is {restart}")

    monkeypatch.setattr("mixer_tf.training.from_source.prepare", prepare)
    result = mixer("train", "--source=digits", f"--output={tmp_path / 'output'}", *options)
    assert result.output == f"Error: restart is {bool(options)}\n"


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_listed_images_are_excluded(mixer, image_folder, tmp_path, monkeypatch, command):
    def prepare(source, *_, **__):
        ids = [i for split in source.splits for s in source.shards_of(split) for i in source.ids(s)]
        raise ValueError(f"{len(ids)} images")

    monkeypatch.setattr("mixer_tf.training.from_source.prepare", prepare)
    (tmp_path / "removed.txt").write_text("cat/000.png\n")
    arguments = (f"--source=folder:{image_folder}", f"--output={tmp_path / 'output'}")
    result = mixer(command, *arguments, f"--exclude={tmp_path / 'removed.txt'}")
    assert result.output == "note: images excluded by --exclude: 1\nError: 39 images\n"
    result = mixer(command, *arguments, "--exclude=/no/list.txt")
    assert result.output == (
        "Error: a list of images to exclude must be an existing file; got '/no/list.txt'.\n"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.patch_size=5"], "model.patch_size must divide image_size; got patch_size=5"),
        (["model.name=mixer_x9"], "unknown model 'mixer_x9'"),
        (["model.num_heads=4"], "a field of Mixer models; got 'model.num_heads'"),
        (["model.name=vit", "model.patch_size=8"], "got no num_blocks, hidden_dim, channels_mlp"),
    ],
)
def test_an_impossible_model_fails_before_the_source_is_opened(
    mixer, tmp_path, monkeypatch, changes, message
):
    def fail(*_):
        raise AssertionError("the source was opened")

    monkeypatch.setattr("mixer_tf.datasets.sources.opening.open_source", fail)
    words = [word for change in changes for word in ("--set", change)]
    result = mixer("train", "--source=digits", f"--output={tmp_path / 'output'}", *words)
    assert result.exit_code == 1
    assert message in result.output and result.output.count("\n") == 1
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source=pets"], "a source must be one of digits, "),
        (["--source=folder:/not/there"], "/not/there"),
        (["--source=digits", "--recipe=photo"], "Did you mean photos?"),
        (["--source=digits", "--strategy=gpu"], "strategy must be one of auto, default, "),
        (["--source=digits", "--set", "training.epoch=3"], "Did you mean training.epochs?"),
        (["--source=digits", "--keep-checkpoints=0"], "number of checkpoints must be at least 1"),
        (["--source=digits", "--profile=20:10"], "FIRST:LAST, from 1, the last one included; got"),
        (
            ["--source=digits", "--set", "training.epochs=3", "--epochs=4"],
            "--epochs and --set training.epochs must not differ; got 4 and 3.",
        ),
    ],
)
def test_a_wrong_option_is_one_clear_line(mixer, tmp_path, arguments, message):
    result = mixer("train", f"--output={tmp_path / 'output'}", *arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_too_many_unusable_images_stop_before_a_training(mixer, bad_folder, tmp_path, command):
    arguments = (command, f"--source=folder:{bad_folder.path}", f"--output={tmp_path}/out")
    result = mixer(*arguments, "--max-quarantined=5%")
    assert result.exit_code == 1
    assert "at most 5% of the images may be unusable" in result.output
    assert "images  reason" in result.output
    assert not (tmp_path / "out" / "serving").exists()
    result = mixer(*arguments, "--max-quarantined=many")
    assert result.exit_code == 2
    assert "got 'many'" in result.output


def test_no_usable_image_is_one_clear_line(mixer, unusable_folder, tmp_path):
    result = mixer("train", f"--source=folder:{unusable_folder}", f"--output={tmp_path / 'new'}")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith(
        "Error: at least one training image of folder:"
    )


@pytest.mark.slow
def test_two_machines_share_one_output(image_folder, tmp_path, tiny_options, two_workers):
    command = [sys.executable, "-m", "mixer_tf.cli", "train", f"--source=folder:{image_folder}"]
    command += [f"--output={tmp_path / 'output'}", "--strategy=multi_worker", *tiny_options]
    processes = []
    for tf_config in two_workers:
        environment = {**os.environ, "TF_CONFIG": tf_config}
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(subprocess.Popen(command, env=environment, **pipes))
    outputs = [process.communicate(timeout=500) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert (tmp_path / "output" / "serving" / "1" / "saved_model.pb").exists()


def kept(output):
    return len(list((output / "checkpoints").glob("step-*")))


@pytest.mark.slow
def test_the_same_command_resumes_a_killed_training(image_folder, tmp_path, tiny_options):
    output = tmp_path / "output"
    epochs = "training.epochs=200"
    command = [sys.executable, "-m", "mixer_tf.cli", "train", f"--source=folder:{image_folder}"]
    command += [f"--output={output}", *tiny_options, "--set", epochs]
    command += ["--checkpoint-steps=20", "--keep-checkpoints=4"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while kept(output) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 4 <= kept(output) <= 5  # one more while it removes the first
    assert not (output / "serving").exists()

    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first = int(done.stdout.partition("epoch ")[2].partition("/")[0])
    assert first > 1
    assert (output / "serving" / "1" / "saved_model.pb").exists()
