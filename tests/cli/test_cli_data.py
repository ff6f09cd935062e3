# SPDX-License-Identifier: Apache-2.0
"""`mixer data list` and `mixer data build`."""

import json
import re
import socket

import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds
from click.testing import CliRunner, Result

from mixer_tf.cli import main


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """No test may open a connection."""

    def refuse(*args, **kwargs):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> dict[str, dict]:
    result = invoke("data", "list", "--json", f"--data-dir={tmp_path_factory.mktemp('none')}")
    assert result.exit_code == 0, result.output
    return {entry["name"]: entry for entry in json.loads(result.output)}


def test_all_datasets_of_the_paper_are_listed(listed):
    tasks = [name for name, entry in listed.items() if entry["use"] == "VTAB-1k"]
    assert len(tasks) == 19
    others = {"imagenet2012", "imagenet21k", "imagenet2012_real", "cifar10", "cifar100"}
    assert set(listed) == {*tasks, *others, "oxford_iiit_pet", "oxford_flowers102"}


def test_what_is_listed_is_in_the_installed_tfds(listed):
    """Read another way than by the command: from the classes of TFDS."""
    for name, entry in listed.items():
        assert entry["in_tfds"] == bool(entry["tfds"])
        if not entry["tfds"]:
            assert name == "imagenet21k"
            assert name not in tfds.list_builders(with_community_datasets=False)
            continue
        base, _, config = entry["tfds"].partition("/")
        found = tfds.builder_cls(base)
        assert not config or config in [each.name for each in found.BUILDER_CONFIGS]
        sizes = [int(info.size) for info in found.url_infos.values() if info.size]
        assert entry["download_bytes"] == sum(sizes)
        assert bool(entry["manual"]) == bool(found.MANUAL_DOWNLOAD_INSTRUCTIONS)
        assert entry["prepared"] is None and entry["examples"] == {}


@pytest.mark.parametrize(
    ("name", "version", "classes", "splits"),
    [  # Table of the VTAB-1k protocol, and the paper's supplement
        ("cifar10", "3.0.2", 10, ["train[:98%]", "train[98%:]", "test"]),
        ("oxford_iiit_pet", "4.0.0", 37, ["train[:90%]", "train[90%:]", "test"]),
        ("vtab-sun397", "4.0.0", 397, ["train[:800]", "validation[:200]", "test"]),
        ("vtab-eurosat", "2.0.0", 10, ["train[:800]", "train[60%:+200]", "train[80%:]"]),
        ("vtab-clevr-dist", "3.1.0", 6, ["train[:800]", "train[90%:+200]", "validation"]),
        ("vtab-smallnorb-azi", "2.0.0", 18, ["train[:800]", "test[:200]", "test[50%:]"]),
    ],
)
def test_versions_classes_and_splits_are_those_of_the_paper(listed, name, version, classes, splits):
    entry = listed[name]
    if tfds.__version__ == "4.9.10":
        assert entry["version"] == version
    assert (entry["classes"], entry["splits"]) == (classes, splits)


def test_a_prepared_dataset_is_shown_with_its_images(tmp_path):
    """Prepared as an earlier version of TFDS would have: its images and splits are what counts."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    tfds.dataset_builders.store_as_tfds_dataset(
        name="cifar10",
        version="3.0.1",
        features=tfds.features.FeaturesDict(
            {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(num_classes=10)}
        ),
        split_datasets={
            split: [(i, {"image": pixels, "label": i}) for i in range(number)]
            for split, number in (("train", 5), ("test", 2))
        },
        data_dir=tmp_path,
    )
    result = invoke("data", "list", "cifar10", "--json", f"--data-dir={tmp_path}")
    (entry,) = json.loads(result.output)
    assert entry["prepared"] == str(tmp_path / "cifar10" / "3.0.1")
    assert entry["examples"] == {"train": 5, "test": 2}
    result = invoke("data", "list", f"--data-dir={tmp_path}")
    (row,) = [line for line in result.output.splitlines() if line.startswith("cifar10 ")]
    assert re.split("  +", row) == [
        *("cifar10", "tfds:cifar10", "transfer", "prepared", "not stated"),
        *("train[:98%], train[98%:], test", "10", "7", "170.1 MB"),
    ]
    assert f"prepared  use --source=SOURCE --data-dir={tmp_path}\n" in result.output


def test_the_overview_says_how_to_get_each_dataset(listed, tmp_path):
    result = invoke("data", "list", f"--data-dir={tmp_path}")
    _, *lines = result.output.split("\n\n")[0].splitlines()
    rows = {row[0]: row for row in (re.split("  +", line) for line in lines)}
    assert rows.keys() == listed.keys()
    for name, entry in listed.items():
        way = "by hand" if not entry["in_tfds"] or entry["manual"] else "download"
        assert rows[name][3] == way
        if entry["in_tfds"]:
            assert rows[name][4:6] == [entry["license"] or "not stated", ", ".join(entry["splits"])]
    build = "mixer data build SOURCE"
    assert f"{build} --download --data-dir={tmp_path}\n" in result.output
    assert f"{build} --manual-dir=DIR --data-dir={tmp_path}\n" in result.output


def test_a_dataset_is_described_with_license_and_how_to_get_it(tmp_path):
    result = invoke("data", "list", "vtab-resisc45", "cifar10", f"--data-dir={tmp_path}")
    assert result.exit_code == 0, result.output
    assert "license        not stated by TFDS; see http" in result.output
    assert "Dataset can be downloaded from OneDrive" in result.output
    command = f"mixer data build tfds:cifar10 --download --data-dir={tmp_path}\n"
    assert command in result.output


def test_an_unknown_name_has_a_suggestion():
    result = invoke("data", "list", "cifar100x")
    assert result.exit_code == 1
    assert "Did you mean cifar100 or " in result.output


def test_a_folder_becomes_a_dataset_that_is_listed_as_a_source(image_folder, tmp_path):
    result = invoke(
        "data", "build", f"folder:{image_folder}", "--name=tiny", f"--data-dir={tmp_path}"
    )
    assert result.exit_code == 0, result.output
    assert f"dataset  {tmp_path}/tiny/1.0.0" in result.output
    assert "Downloading" not in result.output
    assert f"mixer train --source=tfds:tiny --data-dir={tmp_path}" in result.output
    assert sum(len(list(tfds.load("tiny", split=s, data_dir=tmp_path))) for s in ("train", "test"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["folder:x"], "--name must be given for a source other than tfds:NAME; got folder:x"),
        (["folder:x", "--name=a", "--download"], "--download must be given for a dataset of TFDS"),
        (["tfds:cifar10"], "170 MB at most, such as https://.* Add --download to allow that"),
        (["tfds:resisc45"], "needs files that must be downloaded by hand"),
        (["tfds:cifar10", "--version=9.9.9"], "--version must be given with --name only; got no"),
        (["tfds:cifar10", "--max-quarantined=0"], "--max-quarantined must be given with --name"),
        (["tfds:cifar10", "--manual-dir=x"], "by hand; cifar10 needs none. Leave it out."),
        (["tfds:cifar11"], "must be a dataset of TFDS"),
    ],
)
def test_what_cannot_be_built_is_one_clear_error(tmp_path, arguments, message):
    result = invoke("data", "build", *arguments, f"--data-dir={tmp_path}")
    assert result.exit_code != 0
    assert re.search(message, result.output)


class Configured(tfds.core.GeneratorBasedBuilder):
    """Two configurations, the first of which is the default one."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="small"), tfds.core.BuilderConfig(name="big")]
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Write a file yourself."

    def _info(self):
        features = {"image": tfds.features.Image(shape=(8, 8, 3)), "label": np.int64}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for index in range(5 if self.builder_config.name == "small" else 7):
            yield index, {"image": np.zeros((8, 8, 3), np.uint8), "label": 0}


def test_the_default_configuration_is_prepared_once(tmp_path):
    """The second time its files are not asked for."""
    arguments = ["data", "build", "tfds:configured", f"--data-dir={tmp_path}"]
    (tmp_path / "files").mkdir()
    (tmp_path / "files/one.txt").touch()
    for more in ([f"--manual-dir={tmp_path}/files"], []):
        result = invoke(*arguments, *more)
        assert result.exit_code == 0, result.output
        assert "images   5 train\n" in result.output
        assert f"dataset  {tmp_path}/configured/small/1.0.0\n" in result.output
    result = invoke("data", "build", "tfds:configured:big", f"--data-dir={tmp_path}")
    assert "needs files that must be downloaded by hand" in result.output


def test_a_missing_network_is_one_clear_error_at_once(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise requests.ConnectionError("Name or service not known")

    monkeypatch.setattr(requests, "head", fail)
    result = invoke("data", "build", "tfds:cifar10", "--download", f"--data-dir={tmp_path}")
    assert result.exit_code == 1
    assert "must be reachable to download cifar10; it is not: Name or service" in result.output
