# SPDX-License-Identifier: Apache-2.0
"""A model trained by the real `mixer train`, for the tests of the commands that use one."""

import dataclasses
import functools
import os
import pathlib

import pytest
from click.testing import CliRunner, Result

from mixer_tf.cli import main
from mixer_tf.datasets import files

TINY = {
    "model.name": "mixer",
    "model.image_size": 16,
    "model.patch_size": 4,
    "model.num_blocks": 2,
    "model.hidden_dim": 16,
    "model.tokens_mlp_dim": 8,
    "model.channels_mlp_dim": 32,
    "data.train_crop": "same",
    "data.train_shorter_side": "none",
    "training.epochs": 2,
    "training.batch_size": 8,
}
TINY_OPTIONS = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]


def invoke(*arguments) -> Result:
    """Runs `mixer` in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@dataclasses.dataclass(frozen=True)
class Training:
    """The result of `mixer train`.

    Attributes:
        output: the folder.
        arguments: the arguments of the command.
        printed: its output on the console.
    """

    output: pathlib.Path
    arguments: tuple[str, ...]
    printed: str


@pytest.fixture(scope="session")
def mixer():
    return invoke


@pytest.fixture(scope="session")
def tiny_options() -> list[str]:
    """Options of `mixer train` for a model that takes seconds."""
    return TINY_OPTIONS


@pytest.fixture(scope="session")
def one_load_of_each_model():
    """Commands in this process load a SavedModel once, as long as its files do not change."""
    from mixer_tf.serving import predictor

    @functools.cache
    def load(folder, _):
        return load_anew(folder)

    load_anew = predictor._load
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            predictor,
            "_load",
            lambda folder: load(os.path.realpath(folder), files.tree_signature(folder)),
        )
        yield


@pytest.fixture(scope="session")
def trained(bad_folder, tmp_path_factory, one_load_of_each_model) -> Training:
    """A model of cats, dogs and "été 夏", trained for two epochs on a folder with bad images."""
    output = tmp_path_factory.mktemp("train") / "my pets"
    arguments = ("train", f"--source=folder:{bad_folder.path}", f"--output={output}")
    result = invoke(*arguments, *TINY_OPTIONS)
    assert result.exit_code == 0, result.output
    return Training(output, (*arguments, *TINY_OPTIONS), result.output)
