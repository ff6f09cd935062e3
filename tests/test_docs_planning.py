# SPDX-License-Identifier: Apache-2.0
"""docs/planning.md: its devices are those of the code, and its commands run."""

import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from mixer_tf.models import registry
from mixer_tf.planning import devices, estimate
from mixer_tf.studies import paper_results

TEXT = (pathlib.Path(__file__).parents[1] / "docs" / "planning.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("device", devices.DEVICES, ids=devices.NAMES)
def test_the_table_of_devices(device):
    (line,) = (line for line in TEXT.splitlines() if line.startswith(f"| `{device.name}`"))
    _, peak, peak_float32, memory, power, dollars, price = line.strip("| ").split(" | ")
    assert float(peak) == device.peak / 1e12 and float(peak_float32) == device.peak_float32 / 1e12
    unit = 1 << 30 if "GiB" in memory else 10**9
    assert int(memory.split()[0]) * unit == device.memory
    assert power == ("not published" if device.watts is None else f"{device.watts} W")
    assert float(dollars) == device.dollars_per_hour
    assert re.search(r"of (20\S+?)(;|$)", price)[1] in device.price


def test_the_utilization():
    tpu, gpu = devices.TRAINING_UTILIZATION, devices.GPU_TRAINING_UTILIZATION
    text = f"at {tpu:.0%} of the peak rate of a TPU and {gpu:.0%} of that of a GPU"
    assert text.replace("%", " %") in TEXT


def test_the_utilization_of_the_papers_models_at_inference():
    """Tables 2 and 3; BiT-R50x1 has the lowest, Mixer-H/14 the highest."""
    rows = [r for r in paper_results.RESULTS if r.model.startswith(("mixer_", "vit_", "bit_"))]
    models = [registry.describe(row.model, row.image_size) for row in rows]
    shares = [
        2 * model.multiply_adds * row.images_per_second / devices.get("tpu-v3").peak
        for row, model in zip(rows, models, strict=True)
    ]
    assert f"are\nbetween {min(shares):.0%} and {max(shares):.0%}".replace("%", " %") in TEXT
    text = f"between {100 * min(shares):.0f} and {max(shares):.0%}".replace("%", " %")
    assert text in estimate.paper_throughput.__doc__


@pytest.mark.slow
def test_commands_run(tmp_path):
    assert len(COMMANDS) == 7
    for line in dict.fromkeys(COMMANDS):
        program, *arguments = shlex.split(line)
        path = pathlib.Path(sys.executable).with_name(program)
        result = subprocess.run([path, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0, (line, result.stdout, result.stderr)
        if arguments[0] == "train":
            assert re.search(r"^planned .*\(plan\.json\); actual ", result.stdout, re.MULTILINE)
    assert (tmp_path / "pareto" / "figure_2_left.svg").exists()
    assert (tmp_path / "throughput" / "throughput.png").exists()
