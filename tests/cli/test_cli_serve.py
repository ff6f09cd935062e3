# SPDX-License-Identifier: Apache-2.0
"""`mixer serve` as a process, and `mixer predict --server`."""

import contextlib
import json
import re
import signal
import subprocess
import sys

import pytest


@contextlib.contextmanager
def running(*arguments):
    """Yields the process of `mixer serve`, and its REST and gRPC ports."""
    command = [sys.executable, "-m", "mixer_tf.cli", "serve", *map(str, arguments)]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process = subprocess.Popen(command, **pipes, text=True)
    try:
        lines = [process.stdout.readline() for _ in range(4)]
        yield process, *(int(re.search(r":(\d+)", lines[index]).group(1)) for index in (1, 3))
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def ports(trained):
    with running(trained.output, "--rest-port=0", "--grpc-port=0") as (_, rest, grpc):
        yield rest, grpc


def test_predict_answers_the_same_from_a_server(mixer, trained, bad_folder, ports):
    names = [*bad_folder.good, *bad_folder.bad]
    images = [bad_folder.path / name for name in names]
    expected = mixer("predict", trained.output, *images, "--json")
    for server in (f"localhost:{ports[0]}", f"grpc://localhost:{ports[1]}"):
        found = mixer("predict", "my pets", *images, "--json", f"--server={server}")
        assert found.exit_code == expected.exit_code == 1
        assert found.stderr == expected.stderr
        pairs = zip(found.stdout.splitlines(), expected.stdout.splitlines(), strict=True)
        for line, wanted in (map(json.loads, pair) for pair in pairs):
            assert line["image"] == wanted["image"] and line.get("error") == wanted.get("error")
            for one, other in zip(
                line.get("predictions", []), wanted.get("predictions", []), strict=True
            ):
                assert one["class_name"] == other["class_name"]
                assert one["probability"] == pytest.approx(other["probability"], abs=1e-6)


def test_a_path_is_not_the_name_of_a_model(mixer, trained, bad_folder, ports):
    image = bad_folder.path / "cat" / "000.png"
    result = mixer("predict", trained.output, image, f"--server=localhost:{ports[0]}")
    assert result.exit_code == 1
    assert "this server has the model my pets" in result.output and "\n" not in result.output[:-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "code", "text"), [(signal.SIGINT, 130, "\nStopped.\n"), (signal.SIGTERM, 0, "")]
)
def test_ctrl_c_and_the_end_of_a_container_are_clean(trained, sent, code, text):
    with running(trained.output, "--rest-port=0", "--grpc-port=0", "--name=x") as (process, *_):
        process.send_signal(sent)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, text)


def test_a_port_in_use_is_one_line(mixer, trained, ports):
    result = mixer("serve", trained.output, f"--rest-port={ports[0]}", "--grpc-port=0")
    assert result.exit_code == 1
    assert result.output.startswith("Error: --rest-port must be a free port on localhost; got")
    assert result.output.count("\n") == 1


def test_wrong_batching_parameters_are_one_line(mixer, trained, tmp_path):
    file = tmp_path / "batching.txt"
    file.write_text("max_batch_sise { value: 8 }")
    result = mixer("serve", trained.output, f"--batching-parameters-file={file}")
    assert result.exit_code == 1
    assert "Did you mean max_batch_size" in result.output
