# SPDX-License-Identifier: Apache-2.0
"""What is missing for a training is noticed before any image is read."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from mixer_tf import factory, recipes, save_npz
from mixer_tf.checkpoints.downloading import DownloadError
from mixer_tf.checkpoints.formats import npz
from mixer_tf.datasets.sources import opening
from mixer_tf.training import requirements
from mixer_tf.training.from_source import train_source
from mixer_tf.training.run_directory import RunDirectory

VIT = [
    *("model.name=vit", "model.patch_size=4", "model.num_blocks=1", "model.hidden_dim=8"),
    *("model.channels_mlp_dim=8", "model.num_heads=2"),
]


@pytest.fixture(scope="module")
def weights(recipe, tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("weights") / "weights.npz")
    save_npz(factory.from_recipe(recipe, 7), path)
    return path


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """An empty cache, and nothing that can be reached."""
    monkeypatch.setenv("MIXER_TF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")


def test_without_weights_tensorflow_is_not_imported():
    program = (
        "import sys\n"
        "from mixer_tf import recipes\n"
        "from mixer_tf.training import requirements\n"
        "requirements.require_weights(recipes.get('photos'))\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("changes", [[], ["model.image_size=32"], ["model.keep_head=true"]])
def test_weights_that_fit_pass(recipe, weights, changes):
    requirements.require_weights(recipe.override([f"model.weights={weights}", *changes]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.hidden_dim=16"], "must fit the model mixer; it does not"),
        (["model.num_blocks=3"], "missing in the checkpoint"),
        (["model.image_size=24"], "integer multiple of the model's, 16x16 pixels; got 24x24"),
        (["model.weights=nowhere.npz"], "must be the path of a checkpoint .* got nowhere.npz"),
        (VIT, "must fit the model vit; it does not"),
    ],
)
def test_weights_that_do_not_fit_are_the_error_of_the_training(recipe, weights, changes, message):
    changed = recipe.override([f"model.weights={weights}", *changes])
    with pytest.raises(ValueError, match=message) as early:
        requirements.require_weights(changed)
    with pytest.raises(ValueError) as late:
        factory.from_recipe(changed, 3)
    assert str(early.value) == str(late.value)


def test_weights_that_are_corrupt_in_their_middle_are_noticed(recipe, weights, tmp_path):
    content = bytearray(pathlib.Path(weights).read_bytes())
    with npz.open_npz(weights) as arrays:
        kernel = arrays.read("stem/kernel").tobytes()
    content[content.index(kernel)] ^= 1
    path = tmp_path / "corrupt.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is corrupt or truncated: .*CRC"):
        requirements.require_weights(recipe.override([f"model.weights={path}"]))


def test_the_check_initializes_nothing_at_random(recipe, weights, monkeypatch):
    made = []
    check = factory.loading.check_weights
    monkeypatch.setattr(
        factory.loading,
        "check_weights",
        lambda model, *args, **options: (made.append(model), check(model, *args, **options)),
    )
    requirements.require_weights(recipe.override([f"model.weights={weights}"]))
    assert made and not any(np.any(weight) for weight in made[0].get_weights())


def test_a_failed_download_claims_no_folder(offline, image_folder, tmp_path):
    source = opening.open_source(f"folder:{image_folder}")
    output = str(tmp_path / "output")
    with pytest.raises(DownloadError, match="could not be downloaded: .* and put it at"):
        train_source(source, recipes.get("finetune_pets"), output, strategy="default")
    assert not os.path.exists(output)


def test_other_files_are_noticed_before_weights_are_downloaded(offline, image_folder, tmp_path):
    source = opening.open_source(f"folder:{image_folder}")
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match="holds other files"):
        RunDirectory(str(tmp_path)).claim(source, recipes.get("finetune_pets"))


def test_batches_that_the_devices_cannot_share(recipe, monkeypatch):
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [kind] * 3)
    requirements.require_devices("auto", recipe.override(["training.batch_size=9"]))
    with pytest.raises(ValueError, match="got batch_size=8 on 3 devices. Use 6 or 9"):
        requirements.require_devices("auto", recipe)
