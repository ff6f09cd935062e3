# SPDX-License-Identifier: Apache-2.0
"""Two runs of a compiled file, as a schedule starts them: warm start, drift, and the services used.

The second run gets more images, of another size. It must start from the model of the first one, and
must not push. All steps have secrets in their environment, which no file may have afterwards. The
steps that use Vertex AI talk to a server on this machine that speaks its messages.
"""

import os
import pathlib
import subprocess
import sys

import numpy as np
import orchestrators
import planted_secrets
import pytest
from PIL import Image
from vertex_server import reachable_vertex

from mixer_tf.export.loading import open_export

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.e2e, pytest.mark.timeout(3000)]
STILL = "training.epochs=1 optimizer.learning_rate=1e-12 optimizer.weight_decay=0"
DRIFT = "drift in train: image/height: Jensen-Shannon divergence 1.00"


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    server = orchestrators.StepServer(tmp_path_factory.mktemp("steps"))
    yield server
    server.stop()


def compile_file(target: str, path: pathlib.Path, *arguments: str) -> pathlib.Path:
    command = [sys.executable, "-m", "pipeline.kubeflow_runner", f"--target={target}"]
    command += [f"--output={path}", "--source=folder:gs://bucket/pets", "--root=gs://bucket/runs"]
    command += ["--image=registry.example/mixer-tf:1", "--recipe=digits", "--min-accuracy=0"]
    command += ["--max-accuracy-drop=1", "--deduplicate=off", "--no-report", "--warm-start"]
    subprocess.run([*command, *arguments], cwd=orchestrators.ROOT, check=True)
    return path


def write_images(folder: pathlib.Path, first: int, side: int) -> None:
    """300 noisy images: those of cat are bright."""
    for index in range(first, first + 300):
        name = ("cat", "dog")[index % 2]
        (folder / name).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 120, (side, side, 3), dtype=np.uint8)
        pixels += 130 * np.uint8(name == "cat")
        Image.fromarray(pixels).save(folder / name / f"{index}.png")


def assert_same_weights(one: str, other: str) -> None:
    weights = [open_export(path).model.get_weights() for path in (one, other)]
    for found, expected in zip(*weights, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_vertex_with_an_endpoint_and_training_in_a_custom_job(tmp_path, steps):
    """The file for Kubeflow Pipelines v2 has the same steps, but for the EndpointDeployer."""
    images, root = tmp_path / "images", tmp_path / "root"
    options = ["--project=p", "--region=europe-west4", "--endpoint=pets", "--name=pets-model"]
    options += ["--machine-type=n1-standard-8", "--checkpoint-minutes=20"]
    path = compile_file("vertex", tmp_path / "file.json", *options)
    parameters = {"pipeline_root": str(root), "source": f"folder:{images}"}

    def train(command: list[str], variables: dict[str, str]) -> None:
        assert variables == {"MIXER_TF_CHECKPOINT_MINUTES": "20.0"}
        variables |= planted_secrets.ENVIRONMENT
        orchestrators.run_process("custom job", command, tmp_path / "jobs", **variables)

    with reachable_vertex(tmp_path / "vertex", "p", "europe-west4", train) as (vertex, environment):
        job = orchestrators.PipelineJob.read(
            path,
            tmp_path / "jobs",
            environment={"EndpointDeployer": environment, "Trainer": environment},
            common=planted_secrets.ENVIRONMENT,
            start=steps.run,
        )
        write_images(images, 0, 16)
        first = job.run(**parameters, overrides="training.epochs=1")
        (pushed,) = [str(root / "serving" / name) for name in os.listdir(root / "serving")]
        ((name, (version,)),) = vertex.models.items()
        assert version.artifact_uri == pushed
        (deployed,) = first["EndpointDeployer"]["deployed_model"]
        assert deployed["metadata"]["pushed_version"] == f"{name}@1"
        (endpoint,) = vertex.endpoints
        assert dict(endpoint.traffic_split) == {"1": 100}
        assert all(text.startswith("Bearer ") for text in vertex.authorizations)

        calls = len(vertex.calls)
        write_images(images, 300, 64)
        second = job.run(**parameters, overrides=STILL)
    (earlier,) = second["LastPushedModel"]["model"]
    assert earlier["metadata"]["pushed_version"] == pathlib.Path(pushed).name
    (not_pushed,) = second["Pusher"]["pushed_model"]
    assert not_pushed["metadata"]["pushed"] == 0
    assert not_pushed["metadata"]["reason"].startswith(DRIFT)
    assert set(vertex.calls[calls:]) == {"CreateCustomJob", "GetCustomJob"}  # of the Trainer
    (trained,) = second["Trainer"]["model"]
    assert_same_weights(f"{trained['uri']}/Format-Serving", pushed)
    assert list((tmp_path / "jobs").rglob("*.log"))
    assert planted_secrets.files_with_secret(tmp_path) == []
