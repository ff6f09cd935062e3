# SPDX-License-Identifier: Apache-2.0
"""`mixer convert` and `mixer upscale` on a model of `mixer train`."""

import numpy as np
import pytest
from safetensors.numpy import load_file


def test_convert(mixer, trained, tmp_path):
    result = mixer("convert", trained.output, tmp_path / "model.npz")
    assert result.exit_code == 0, result.output
    assert result.output == f"weights  {tmp_path / 'model.npz'}\n"
    result = mixer("convert", tmp_path / "model.npz", tmp_path / "model.safetensors")
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "model.npz", allow_pickle=False) as ours:
        theirs = load_file(tmp_path / "model.safetensors")
        np.testing.assert_array_equal(ours["head/kernel"].T, theirs["head.weight"])


def test_convert_explains_an_error(mixer, tmp_path):
    (tmp_path / "notes.txt").write_text("my notes")
    result = mixer("convert", tmp_path / "notes.txt", tmp_path / "model.npz")
    assert result.exit_code == 1
    assert result.output.startswith("Error: a checkpoint must be an .npz file from the authors, a")


def test_upscale(mixer, trained, bad_folder, tmp_path):
    output = tmp_path / "larger"
    result = mixer("upscale", trained.output, output, "--factor=2")
    assert result.exit_code == 0, result.output
    assert result.output == f"images   32x32 pixels\nmodel    {output}/serving/1\n"
    result = mixer("predict", output, bad_folder.path / bad_folder.good[0])
    assert result.exit_code == 0, result.output
    result = mixer("upscale", trained.output, output, "--factor=2")
    assert result.exit_code == 1 and "OUTPUT must be new" in result.output


def test_upscale_to_a_size_that_is_not_a_multiple(mixer, trained, tmp_path):
    result = mixer("upscale", trained.output, tmp_path / "larger", "--image-size=24")
    assert result.exit_code == 1
    assert result.output == (
        "Error: image_size must be an integer multiple of the model's, 16x16 pixels; got 24x24. "
        "Use 32x32 or 48x48, or interpolate=True, which is not in the paper.\n"
    )


@pytest.mark.slow
def test_upscale_interpolates_where_that_is_asked_for(mixer, trained, tmp_path):
    arguments = ("upscale", trained.output, tmp_path / "larger", "--image-size=24")
    result = mixer(*arguments, "--interpolate")
    assert result.exit_code == 0, result.output


def test_what_is_in_a_bucket_already_is_not_replaced(mixer, trained):
    import tensorflow as tf

    tf.io.gfile.makedirs("ram://upscale-new/serving/1")
    result = mixer("upscale", trained.output, "ram://upscale-new", "--factor=2")
    assert result.exit_code == 1 and "OUTPUT must be new" in result.output
    result = mixer("export", trained.output, "gs://bucket/model.tflite")
    assert result.exit_code == 2 and "TARGET must be a file of this machine" in result.output
