# SPDX-License-Identifier: Apache-2.0
"""Seeded mutations of lists and TFRecord files, read in a child process."""

import gzip
import pathlib

import mutations
import pytest
import tensorflow as tf

SCRIPT = str(pathlib.Path(__file__).parents[1] / "mutated" / "read_sources.py")


def make_example(image: bytes, label: int) -> bytes:
    example = tf.train.Example()
    example.features.feature["image"].bytes_list.value.append(image)
    example.features.feature["label"].int64_list.value.append(label)
    example.features.feature["class_name"].bytes_list.value.append(b"class %d" % label)
    example.features.feature["filename"].bytes_list.value.append(b"%d.png" % label)
    return example.SerializeToString()


@pytest.fixture
def write_original(tmp_path, make_pixels, encode):
    """Writes the file to mutate, and the images that the list names."""

    def write(kind: str) -> pathlib.Path:
        images = [encode(make_pixels(number), "PNG") for number in range(12)]
        path = tmp_path / "original"
        if kind == "csv":
            for number, image in enumerate(images):
                (tmp_path / f"{number}.png").write_bytes(image)
            rows = [f'{number}.png,"class {number % 3}",train' for number in range(12)]
            path.write_text("path,label,split\n" + "\n".join(rows))
        elif kind == "example":
            path.write_bytes(make_example(images[0], 1))
        else:
            with tf.io.TFRecordWriter(str(path)) as writer:
                for number, image in enumerate(images):
                    writer.write(make_example(image, number % 3))
            if kind == "gzip":
                path.write_bytes(gzip.compress(path.read_bytes()))
        return path

    return write


@pytest.mark.parametrize(
    ("count", "seed"),
    [(20, 0), *(pytest.param(500, seed, marks=pytest.mark.slow) for seed in range(1, 5))],
)
@pytest.mark.parametrize("kind", ["csv", "tfrecord", "gzip", "example"])
def test_a_mutated_source_is_read_or_is_one_clear_error(
    tmp_path, write_original, kind, count, seed
):
    # The name is that of a split, so that no other is held out, for which the file is read again.
    path = tmp_path / "mutated_test"
    findings = mutations.run(SCRIPT, kind, write_original(kind), path, count, seed)
    findings.require_none()
    assert findings.accepted
