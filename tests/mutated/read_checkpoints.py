# SPDX-License-Identifier: Apache-2.0
"""Reads mutated checkpoints; started by tests/checkpoints/test_corrupt_checkpoints.py."""

import pathlib
import sys

import mutations

from mixer_tf.checkpoints.opening import open_checkpoint

original, path, count = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])


def read(content: bytes) -> str | None:
    path.write_bytes(content)
    try:
        with open_checkpoint(str(path)) as arrays:
            for name in arrays.shapes:
                arrays.read(name)
    except ValueError as error:
        return None if str(path) in str(error) else str(error)
    return ""


if __name__ == "__main__":
    mutations.report(mutations.mutate(original.read_bytes(), count), read)
