# SPDX-License-Identifier: Apache-2.0
"""No secret reaches the metadata, the data, the model or the console of a run."""

import pathlib
import subprocess
import sys

import pytest
from click.testing import CliRunner
from planted_secrets import SECRET, files_with_secret

from mixer_tf import recipes
from pipeline import local_runner
from pipeline.configs import PipelineConfig

PROJECT = pathlib.Path(__file__).parents[2]
TINY = [
    *("model.name=mixer", "model.image_size=16", "model.patch_size=4", "model.num_blocks=1"),
    *("model.hidden_dim=8", "model.tokens_mlp_dim=8", "model.channels_mlp_dim=8"),
    *("training.epochs=1", "training.batch_size=16"),
]
URLS = [
    f"s3://me:{SECRET}@host/a",
    f"s3://{SECRET}@host/a",
    f"s3://me:a space and {SECRET}@host/a",
    f"https://host/a?X-Amz-Expires=9&X-Amz-Signature={SECRET}",
    f"https://host/a#access_token={SECRET}",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("--source", f"{kind}:URL") for kind in ("csv", "folder", "tfrecord", "tfds")],
        *[("--source", "URL"), ("--downstream-test-sets", "folder:URL"), ("--root", "URL")],
        *[("--data-dir", "URL"), ("--name", "URL"), ("--set", "model.weights=URL")],
    ],
)
def test_an_option_with_a_secret_is_refused_before_anything_is_written(
    tmp_path, monkeypatch, option, value, url
):
    monkeypatch.chdir(tmp_path)
    value = value.replace("URL", url)
    result = CliRunner().invoke(local_runner.main, ["--verbose", f"{option}={value}"])
    assert result.exit_code == 1
    message = str(result.exception)
    assert message.startswith(f"{option} must be without user name, password and query")
    assert SECRET not in message + result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("field", ["root", "source", "data_dir", "test_sets", "serving_dir"])
def test_a_configuration_holds_no_secret(field):
    values = {"name": "pets", "root": "/root", "source": "digits"}
    field = "downstream_test_sets" if field == "test_sets" else field
    values[field] = (URLS[0],) if field == "downstream_test_sets" else URLS[0]
    with pytest.raises(ValueError, match=f"^{field} must be without user name") as caught:
        PipelineConfig(recipe=recipes.get("digits"), **values)
    assert SECRET not in str(caught.value)


def run(source: str, root: pathlib.Path, *arguments: str) -> str:
    """Runs the pipeline with a tiny model, and returns what it printed."""
    command = [sys.executable, "-m", "pipeline.local_runner", f"--source={source}"]
    command += [f"--root={root}", "--recipe=digits", "--min-accuracy=0", *arguments]
    command += [word for change in TINY for word in ("--set", change)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.e2e
def test_nothing_that_a_run_writes_or_prints_has_a_secret_of_a_csv_file(
    tmp_path, write_image_folder
):
    """The secrets are in the paths of images, which are unreadable, as the schemes are unknown."""
    images, root = tmp_path / "images", tmp_path / "root #%20"
    write_image_folder(images)
    rows = [f"{name}/{i:03d}.png,{name}" for name in ("cat", "dog") for i in range(20)]
    rows += [f"{url.replace('://', f'{i}://')},cat" for i, url in enumerate(URLS * 9)]
    (images / "list.csv").write_text("path,label\n" + "\n".join(rows))
    assert SECRET not in run(f"csv:{images}/list.csv", root)
    names = {path.name for path in root.rglob("*")}
    assert {"metadata.sqlite", "quarantine.jsonl", "summary.json", "recipe.json"} < names
    assert files_with_secret(root) == []


@pytest.mark.slow
@pytest.mark.e2e
def test_nothing_that_a_run_writes_or_prints_has_a_secret_for_beam(tmp_path, image_folder):
    options = f"--beam=--direct_num_workers=1 --s3_secret_access_key={SECRET}"
    for more in ([], ["--verbose"]):
        printed = run(f"folder:{image_folder}", tmp_path, options, "--to=ImageExampleGen", *more)
        assert SECRET not in printed
    assert files_with_secret(tmp_path) == []
