# SPDX-License-Identifier: Apache-2.0
"""Names that mean something on a cluster, and texts that hold no secret."""

import dataclasses

import pytest

from mixer_tf import recipes
from pipeline.configs import PipelineConfig
from pipeline.remote import checks

CONFIG = PipelineConfig(
    name="pets", root="gs://b/root", source="folder:gs://b/pets", recipe=recipes.get("photos")
)


@pytest.mark.parametrize("target", ["kfp-v1", "kfp-v2", "vertex"])
def test_names_of_a_bucket_and_earlier_runs_are_accepted(target):
    checks.require_portable(CONFIG, target)
    earlier = {"warm_start": True, "allow_drift": True, "max_accuracy_drop": 0.1}
    checks.require_portable(dataclasses.replace(CONFIG, **earlier), target)


def test_a_root_on_a_volume_is_accepted_by_kubeflow_v1_only():
    config = dataclasses.replace(CONFIG, root="/mnt/runs", source="folder:/mnt/pets")
    checks.require_portable(config, "kfp-v1")
    with pytest.raises(ValueError, match="must be a bucket of Google Cloud"):
        checks.require_portable(config, "vertex")
    with pytest.raises(ValueError, match="must be a bucket, gs://… or s3://…, for Kubeflow"):
        checks.require_portable(config, "kfp-v2")
    s3 = dataclasses.replace(CONFIG, root="s3://b/runs", source="folder:/mnt/pets")
    checks.require_portable(s3, "kfp-v2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"serving_dir": "/tmp/serving"}, "--serving-dir must be a bucket of Google Cloud"),
        ({"name": "2024-pets"}, "name must start with a letter for Vertex AI"),
    ],
)
def test_what_does_not_work_on_vertex(change, message):
    config = dataclasses.replace(CONFIG, **change)
    with pytest.raises(ValueError, match=message):
        checks.require_portable(config, "vertex")
    checks.require_portable(config, "kfp-v2")


def weights(path: str):
    return CONFIG.recipe.replace(model=CONFIG.recipe.model.replace(weights=path))


def test_published_weights_and_those_of_a_volume_are_accepted():
    for name in ("imagenet21k", "/mnt/weights.npz"):
        checks.require_portable(dataclasses.replace(CONFIG, recipe=weights(name)), "kfp-v2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "folder:pets"}, "--source must be reachable from the cluster"),
        ({"source": "csv:~/pets.csv"}, "--source must be reachable"),
        ({"source": "csv+1,2:pets.csv"}, "--source must be reachable"),
        ({"source": "csv:gs://b/list.csv"}, "must be a file in the image or on a mounted volume"),
        ({"source": "foldr:/pets"}, "--source: a source must be one of digits, folder:PATH"),
        ({"source": "folder"}, "--source: a source must be one of"),
        ({"root": "runs/pets"}, "--root must be a bucket, gs://… or s3://…"),
        ({"recipe": weights("weights.npz")}, "--set model.weights must be reachable"),
        ({"recipe": weights("runs/pets")}, "--set model.weights must be reachable"),
        ({"recipe": weights("gs://b/weights.npz")}, "must be a file in the image or on a mounted"),
        ({"data_dir": "tfds"}, "--data-dir must be reachable"),
        ({"keep_duplicates": "keep.txt"}, "--keep-duplicates must be reachable"),
        ({"exclude": "removed.txt"}, "--exclude must be reachable"),
        ({"downstream_test_sets": ("folder:x",)}, "--downstream-test-sets must be reachable"),
        ({"predict": "images:/x"}, "--predict must be given to the local runner only"),
        ({"infra_validator": "docker"}, "--infra-validator must be kubernetes or off"),
        ({"infra_validator": "kubernetes"}, "must be given with --target=kfp-v1 only, because TFX"),
        ({"name": "My Pets"}, "a pipeline's name must be"),
    ],
)
def test_what_does_not_work_there_is_one_clear_message(change, message):
    with pytest.raises(ValueError) as error:
        checks.require_portable(dataclasses.replace(CONFIG, **change), "kfp-v2")
    assert message in str(error.value)


SECRETS = [
    "folder:s3://user:hunter2@host/pets",
    "csv:https://host/a.csv?X-Amz-Signature=0123456789abcdef",
    "https://account.blob.core.windows.net/c?sv=2020&sig=abcdefgh%2Fij",
    "--s3_secret_access_key=hunter2hunter2",
    "--password hunter2",
    "--sasl-password=hunter2",
    "--api-key=hunter2",
    "--environment_options=--token=hunter2",
    "--job_endpoint=user:hunter2@flink:8099",
    '--environment_config={"env": {"AWS_SECRET_ACCESS_KEY": "hunter2"}}',
    "--environment_config={'env':{'DB_PASSWORD':'hunter2'}}",
    "--experiments=something,token=hunter2",
    "--conf=spark.hadoop.fs.s3a.secret.key=hunter2",
    "AWS_SECRET_ACCESS_KEY=hunter2",
    "user:hunter2@registry.example/mixer-tf:1",
    "redis://:hunter2@host:6379",
    "Bearer hunter2hunter2hunter2",
    "glpat-" + "a" * 20,
    "xoxb-123456789012-abcdefghijkl",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.hunter2",
    "AKIA" + "ABCDEFGHIJKLMNOP",
    "-----BEGIN PRIVATE KEY-----\nhunter2",
    "ghp_" + "a" * 36,
    "ya29." + "a" * 30,
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_refused_and_not_repeated(text):
    with pytest.raises(ValueError) as error:
        checks.require_no_secret(["--runner=DirectRunner", text])
    assert "hunter2" not in str(error.value)
    assert "service account" in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "folder:gs://bucket/tokens/secret garden",
        "--runner=PortableRunner",
        "--job_endpoint=localhost:8099",
        "tokens_mlp_dim",
        '{"tokens_mlp_dim": 256}',
        "model.tokens_mlp_dim=256",
        "--setup_file=/app/setup.py",
        "grpc://10.0.0.1:8470",
        '{"tokens_mlp_dim": 256, "name": "mixer"}',
        "s3/AWS_SECRET_ACCESS_KEY",
        "data:/mnt/tokens",
        "registry.example:5000/mixer-tf:1@sha256:" + "a" * 64,
        "mixer-tf:1@sha256:" + "a" * 64,
        "pipelines@project.iam.gserviceaccount.com",
        "--dataflow_kms_key=projects/p/locations/l/keyRings/r/cryptoKeys/k",
        "--environment_config=localhost:50000",
        "GOOGLE_APPLICATION_CREDENTIALS_FILE=/mnt/account.json",
    ],
)
def test_what_is_not_a_secret_is_accepted(text):
    checks.require_no_secret([text])


def test_strings_of_a_document_are_found_at_any_depth():
    document = {"a": [1, {"b": "x", "c": ("y", None)}], "d": 2.0}
    assert list(checks.strings(document)) == ["a", "b", "x", "c", "y", "d"]
