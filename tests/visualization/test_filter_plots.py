# SPDX-License-Identifier: Apache-2.0
"""PNG files with the filters of a checkpoint."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mixer_tf.visualization import filter_plots, filters


@pytest.fixture
def checkpoint(tmp_path):
    """Path of an .npz file with the plotted weights (2 blocks, 3x2 patches), and these weights."""
    rng = np.random.default_rng(0)
    weights = {"stem/kernel": rng.normal(size=(4, 4, 3, 5))}
    for block in range(2):
        weights[filter_plots.token_kernel(block)] = rng.normal(size=(6, 7))
    np.savez(tmp_path / "mixer.npz", **weights)
    return tmp_path / "mixer.npz", weights


def test_files_contain_the_plots(checkpoint, tmp_path):
    path, weights = checkpoint
    files = filter_plots.write_filters(path, str(tmp_path / "out"), grid=(3, 2))
    assert [file.rsplit("/")[-1] for file in files] == [
        *("stem.png", "token_mixing_0.png", "token_mixing_1.png"),
    ]
    expected = filters.plot_token_mixing(weights[filter_plots.token_kernel(1)], (3, 2))
    np.testing.assert_array_equal(np.asarray(Image.open(files[2])), expected)


def test_only_the_requested_blocks_are_plotted(checkpoint, tmp_path):
    files = filter_plots.write_filters(checkpoint[0], str(tmp_path / "out"), [1], (3, 2))
    assert [file.rsplit("/")[-1] for file in files] == ["stem.png", "token_mixing_1.png"]


def test_an_npz_file_is_plotted_without_tensorflow(checkpoint, tmp_path):
    code = (
        "import sys\n"
        "from mixer_tf.visualization.filter_plots import write_filters\n"
        "write_filters(*sys.argv[1:], grid=(3, 2))\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, checkpoint[0], tmp_path / "out"], check=True)
    assert (tmp_path / "out" / "stem.png").exists()


def test_a_block_that_does_not_exist_is_refused(checkpoint, tmp_path):
    with pytest.raises(ValueError, match=r"a block must be one of 0 to 1; got 2, 5\."):
        filter_plots.write_filters(checkpoint[0], str(tmp_path / "out"), [0, 2, 5])


def test_a_checkpoint_that_is_not_a_mixer_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", **{"embedding/kernel": np.zeros((4, 4, 3, 5))})
    with pytest.raises(ValueError, match="must be a Mixer"):
        filter_plots.write_filters(tmp_path / "other.npz", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
