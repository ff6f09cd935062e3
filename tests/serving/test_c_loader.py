# SPDX-License-Identifier: Apache-2.0
"""An export in the loader that TensorFlow Serving embeds, from a C program without Python."""

import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

SOURCE = pathlib.Path(__file__).with_name("load_model.c")
LIBRARIES = pathlib.Path(tf.sysconfig.get_lib())

pytestmark = pytest.mark.skipif(
    not shutil.which("gcc") or not (LIBRARIES / "libtensorflow_cc.so.2").exists(),
    reason="needs gcc, and libtensorflow_cc.so.2 of the TensorFlow wheel",
)


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("c") / "load_model")
    command = ["gcc", "-O1", str(SOURCE), "-o", path, f"-I{tf.sysconfig.get_include()}"]
    for name in ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2"):
        command.append(str(LIBRARIES / name))
    subprocess.run([*command, f"-Wl,-rpath,{LIBRARIES}"], check=True)
    return path


@pytest.fixture(scope="module")
def signature_of(served):
    """The SignatureDef of a name, as a server reads it from the file."""
    content = (served.folder / "7" / "saved_model.pb").read_bytes()
    (graph,) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    return graph.signature_def


@pytest.fixture
def run(program, served, signature_of):
    def send(signature, output, *arguments):
        definition = signature_of[signature]
        ((_, given),) = definition.inputs.items()
        node, _, index = definition.outputs[output].name.partition(":")
        names = [given.name.partition(":")[0], node, index]
        return subprocess.run(
            [program, str(served.folder / "7"), *names, *map(str, arguments)],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
        )

    return send


@pytest.fixture
def image_files(served, tmp_path) -> list[pathlib.Path]:
    paths = [tmp_path / f"{index}" for index in range(len(served.images))]
    for path, image in zip(paths, served.images, strict=True):
        path.write_bytes(image)
    return paths


def test_images_of_every_format_get_the_trained_probabilities(run, served, image_files):
    done = run("serving_default", "probabilities", *image_files)
    assert done.returncode == 0, done.stderr
    found = np.array(done.stdout.split(), float).reshape(4, 5)
    np.testing.assert_allclose(found, -np.sort(-served.probabilities, axis=1)[:, :5], atol=1e-6)


def test_many_bytes_are_decoded_on_all_cores_with_the_same_result(run, served, image_files):
    content = image_files[0].read_bytes()
    image_files[0].write_bytes(content + bytes(1 << 17))  # what follows an image is ignored
    done = run("serving_default", "probabilities", *image_files)
    assert done.returncode == 0, done.stderr
    found = np.array(done.stdout.split(), float).reshape(4, 5)
    np.testing.assert_allclose(found, -np.sort(-served.probabilities, axis=1)[:, :5], atol=1e-6)
    image_files[1].write_bytes(b"\x89PNG" + bytes(1 << 17))
    done = run("serving_default", "probabilities", *image_files)
    assert done.returncode == 1 and "code 3" in done.stderr, done.stderr


def test_features_are_the_trained_ones(run, served, image_files):
    done = run("features", "pre_logits", *image_files[:1])
    np.testing.assert_allclose(np.array(done.stdout.split(), float), served.pre_logits[0], 1e-4)


def test_an_image_that_cannot_be_read_is_an_error_and_no_crash(run, image_files, tmp_path):
    bad = tmp_path / "bad"
    bad.write_bytes(b"garbage")
    done = run("serving_default", "probabilities", image_files[0], bad)
    assert done.returncode == 1
    assert "code 3" in done.stderr and "must be JPEG, PNG, GIF or BMP" in done.stderr


@pytest.mark.parametrize("sides", [(16, 16), (32, 8)])
def test_pixels_of_another_size_are_an_error(run, sides):
    """Also where the number of patches is right, as in 32 x 8."""
    done = run("pixels", "probabilities", "--pixels", *sides)
    assert done.returncode == (0 if sides == (16, 16) else 1), done.stdout + done.stderr
    if sides != (16, 16):
        assert "code 3" in done.stderr
        assert "is not compatible with expected shape [?,16,16,3]" in done.stderr
