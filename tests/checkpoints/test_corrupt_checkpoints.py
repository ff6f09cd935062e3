# SPDX-License-Identifier: Apache-2.0
"""Seeded mutations of each checkpoint format, read in a child process."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "timm"
FILES = ("mixer.npz", "mixer.safetensors", "mixer_zip.pth", "mixer_sequence.pth")
MAX_SECONDS = 20  # for one file, on a busy machine
MAX_KILOBYTES = 2 << 20

_READ_MUTATIONS = """
import json, re, sys, time
import numpy as np
from mixer_tf.checkpoints.opening import open_checkpoint

original, path, count = open(sys.argv[1], "rb").read(), sys.argv[2], int(sys.argv[3])
rng = np.random.default_rng(0)
unclear, slowest = [], 0
for _ in range(count):
    content = bytearray(original)
    for _ in range(rng.integers(1, 6)):
        end = len(content) if rng.random() < 0.5 else min(len(content), 3000)
        content[rng.integers(end)] = rng.integers(256)
    if rng.random() < 0.2:
        del content[rng.integers(len(content)) :]
    open(path, "wb").write(content)
    start = time.monotonic()
    try:
        with open_checkpoint(path) as arrays:
            for name in arrays.shapes:
                arrays.read(name)
    except ValueError as error:
        unclear += [] if path in str(error) else [str(error)]
    except Exception as error:
        unclear.append(repr(error))
    slowest = max(slowest, time.monotonic() - start)
# Not ru_maxrss, which begins with that of the process that started this one.
kilobytes = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
print(json.dumps([unclear, slowest, kilobytes]))
"""


@pytest.mark.parametrize("count", [100, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FILES)
def test_a_mutated_file_is_read_or_is_one_clear_error(tmp_path, name, count):
    path = GOLDEN / name
    if name == "mixer.npz":
        path = tmp_path / name
        np.savez(path, **load_file(GOLDEN / "mixer.safetensors"))
    arguments = [str(path), str(tmp_path / "mutated"), str(count)]
    child = subprocess.run(
        [sys.executable, "-c", _READ_MUTATIONS, *arguments],
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    unclear, slowest, kilobytes = json.loads(child.stdout.splitlines()[-1])
    assert unclear == []
    assert slowest < MAX_SECONDS
    assert kilobytes < MAX_KILOBYTES
