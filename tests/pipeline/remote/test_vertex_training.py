# SPDX-License-Identifier: Apache-2.0
"""A Trainer on worker pools: the job that Vertex AI gets is the one that its step describes."""

import json

import pytest
from click.testing import CliRunner
from google.cloud import aiplatform_v1 as vertex
from tfx.extensions.google_cloud_ai_platform import training_clients
from tfx.types import standard_artifacts

from components.trainer.vertex_executor import VertexExecutor
from components.tuner.vertex_executor import VertexExecutor as TunerExecutor
from pipeline import kubeflow_runner
from pipeline.remote.compiled import Compiled, Run
from pipeline.remote.vertex_service import made_later
from pipeline.remote.worker_pools import WorkerPools, custom_job
from pipeline.resources import StepResources

POOLS = [
    *("--project=p", "--region=europe-west4", "--machine-type=g2-standard-24", "--workers=3"),
    *("--step", "Trainer.accelerator=NVIDIA_L4:2", "--service-account=a@p"),
]


def run(monkeypatch, path, *arguments: str, target: str = "vertex"):
    monkeypatch.setattr(kubeflow_runner.console, "silence_libraries", lambda: None)
    fixed = [f"--target={target}", f"--output={path}", "--root=gs://b/r", "--image=i:beam"]
    return CliRunner().invoke(
        kubeflow_runner.main, [*fixed, "--train-image=i:gpu", "--source=digits", *arguments]
    )


class Client:
    """Keeps the job that TFX sends, and reports success."""

    jobs: list = []

    def __init__(self, **_):
        pass

    def create_custom_job(self, parent: str, custom_job: dict) -> vertex.CustomJob:
        self.jobs.append((parent, vertex.CustomJob(custom_job)))
        return vertex.CustomJob(name="job")

    def get_custom_job(self, **_) -> vertex.CustomJob:
        return vertex.CustomJob(state=vertex.JobState.JOB_STATE_SUCCEEDED)


def test_the_step_starts_the_custom_job(tmp_path, monkeypatch):
    result = run(monkeypatch, tmp_path / "file.json", *POOLS, "--checkpoint-minutes=20")
    assert result.exit_code == 0, result.output
    spec = json.loads((tmp_path / "file.json").read_text())["pipelineSpec"]
    container = spec["deploymentSpec"]["executors"]["Trainer_executor"]["container"]
    assert container["args"][1] == "components.trainer.vertex_executor.VertexExecutor"
    assert container["image"] == "i:beam"
    assert "accelerator" not in container["resources"]  # the step only waits

    given = spec["root"]["dag"]["tasks"]["Trainer"]["inputs"]["parameters"]
    parameters = {
        name: source["runtimeValue"]["constant"]
        for name, source in given.items()
        if "runtimeValue" in source
    }
    parameters |= {"overrides": "training.epochs=3", "root": "gs://b/other"}
    monkeypatch.setattr(training_clients.gapic, "JobServiceClient", Client)
    model = standard_artifacts.Model()
    model.uri = "gs://b/other/model"
    VertexExecutor().Do({}, {"model": [model]}, parameters)
    ((parent, job),) = Client.jobs
    assert parent == "projects/p/locations/europe-west4"
    chief, workers = job.job_spec.worker_pool_specs
    assert (chief.replica_count, workers.replica_count) == (1, 2)
    assert job.job_spec.service_account == "a@p"
    assert job.job_spec.scheduling.timeout.days == 5
    for pool in (chief, workers):
        assert pool.machine_spec.machine_type == "g2-standard-24"
        assert pool.machine_spec.accelerator_type.name == "NVIDIA_L4"
        assert pool.machine_spec.accelerator_count == 2
        assert pool.container_spec.image_uri == "i:gpu"
        (variable,) = pool.container_spec.env
        assert (variable.name, variable.value) == ("MIXER_TF_CHECKPOINT_MINUTES", "20.0")
        command = list(pool.container_spec.command)
        assert "components.trainer.executor.Executor" in command
        assert "training.epochs=3" in command[command.index("--exec-properties") + 1]


def test_a_tuner_searches_on_one_machine_of_that_type(tmp_path, monkeypatch):
    result = run(monkeypatch, tmp_path / "file.json", *POOLS, "--tune")
    assert result.exit_code == 0, result.output
    spec = json.loads((tmp_path / "file.json").read_text())["pipelineSpec"]
    container = spec["deploymentSpec"]["executors"]["Tuner_executor"]["container"]
    assert container["args"][1] == "components.tuner.vertex_executor.VertexExecutor"
    assert container["image"] == "i:beam" and "accelerator" not in container["resources"]
    compiled = Compiled.read(str(tmp_path / "file.json"))
    later = made_later(compiled, Run("r", {"pipeline_root": "gs://b/r", "serving_dir": "s"}))
    pools = [
        later[name]["customJob"]["jobSpec"]["workerPoolSpecs"]
        for name in ("CreateCustomJob of the Tuner", "CreateCustomJob")
    ]
    assert [len(pool) for pool in pools] == [1, 2]

    given = spec["root"]["dag"]["tasks"]["Tuner"]["inputs"]["parameters"]
    config = given["custom_config"]["runtimeValue"]["constant"]
    parameters = {"custom_config": config, "overrides": "", "root": "gs://b/other"}
    monkeypatch.setattr(training_clients.gapic, "JobServiceClient", Client)
    monkeypatch.setattr(Client, "jobs", [])
    best = standard_artifacts.HyperParameters()
    best.uri = "gs://b/other/best"
    TunerExecutor().Do({}, {"best_hyperparameters": [best]}, parameters)
    ((_, job),) = Client.jobs
    (pool,) = job.job_spec.worker_pool_specs
    assert pool.replica_count == 1
    assert pool.machine_spec.machine_type == "g2-standard-24"
    assert pool.machine_spec.accelerator_count == 2
    assert pool.container_spec.image_uri == "i:gpu"
    assert "components.tuner.executor.Executor" in list(pool.container_spec.command)


def test_a_tpu_is_a_machine_of_its_own():
    trainer = StepResources(image="i:tpu", accelerator="TPU_V3", accelerator_count=8, timeout=None)
    job = custom_job(WorkerPools("p", "r", "cloud-tpu"), trainer, "t")
    (pool,) = vertex.CustomJob(job).job_spec.worker_pool_specs
    assert pool.machine_spec.machine_type == "cloud-tpu"
    assert pool.machine_spec.accelerator_type.name == "TPU_V3"
    assert pool.machine_spec.accelerator_count == 8


def test_an_unknown_accelerator_lists_those_of_vertex():
    trainer = StepResources(image="i", accelerator="nvidia.com/gpu")
    with pytest.raises(ValueError, match="must be one of NVIDIA_TESLA_K80, .*NVIDIA_L4"):
        custom_job(WorkerPools("p", "r", "m"), trainer, "t")


@pytest.mark.parametrize(
    ("arguments", "target", "message"),
    [
        (["--machine-type=m"], "vertex", "--machine-type requires --project and --region"),
        (["--endpoint=e", "--project=p"], "vertex", "--endpoint requires --project and --region"),
        (["--workers=2"], "vertex", "require --machine-type"),
        (["--traffic=20"], "vertex", "require --endpoint"),
        (["--endpoint=e"], "kfp-v2", "must be given with --target=vertex only"),
        (["--secret=s"], "vertex", "a secret of Kubernetes, which Vertex AI does not have"),
        (
            ["--endpoint=e", "--project=p", "--region=r", "--serving", "max_replica=2"],
            "vertex",
            "Did you mean max_replicas?",
        ),
        (
            ["--endpoint=e", "--project=p", "--region=r", "--serving", "max_replicas=many"],
            "vertex",
            "must be an integer",
        ),
        (
            [
                *("--endpoint=e", "--project=p", "--region=r"),
                *("--serving", "accelerator=L4", "--serving", "accelerator_count=1"),
            ],
            "vertex",
            "the accelerator of --serving must be one of",
        ),
    ],
)
def test_an_option_without_its_companions_is_refused(
    tmp_path, monkeypatch, arguments, target, message
):
    result = run(monkeypatch, tmp_path / "file", *arguments, target=target)
    assert result.exit_code == 1
    assert message in result.stderr
