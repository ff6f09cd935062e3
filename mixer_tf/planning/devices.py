# SPDX-License-Identifier: Apache-2.0
"""Facts about accelerators: peak rate, memory, power and list price, each with its source.

A device is what TensorFlow counts as one: a core of a TPU v3, of which a chip has two, a chip of a
TPU v4 or v5e, a GPU.
"""

from __future__ import annotations

import dataclasses

from mixer_tf.messages import did_you_mean

_TERA, _GIB = 10**12, 1 << 30

# The authors' training of mixer_b16 on ImageNet took 2 h 11 min on 128 cores of TPU v3; its
# 300 x 1,281,167 x 3 x 12.6 G multiply-adds are 47 % of the peak of these cores. Table 3 of the
# paper gives 47 % for mixer_l16 and 57 % for mixer_h14 on JFT-300M as well.
TRAINING_UTILIZATION = 0.47
# Mixer-B/16 in batches of 512, bfloat16 and XLA, on an NVIDIA H200: 3,213 images/s, 243 of the 989
# TFLOP/s of its data sheet (docs/speed.md).
GPU_TRAINING_UTILIZATION = 0.25
# Table 3: 1,384 images/s of mixer_b16 on a core of a TPU v3 at inference.
INFERENCE_UTILIZATION = 0.57
# TensorFlow does not get all memory, and fragments what it gets.
USABLE_MEMORY = 0.9


@dataclasses.dataclass(frozen=True)
class Device:
    """One type of device.

    Attributes:
        name: as users write it, such as "tpu-v3".
        title: as tables show it.
        peak: floating-point operations per second of dense matrix products in bfloat16.
        peak_float32: the same where the recipe computes in float32; a TPU multiplies in bfloat16
            nevertheless, a GPU in TF32, as TensorFlow does by default.
        memory: bytes.
        watts: power of one device; None where it is not published.
        dollars_per_hour: list price on demand of one device; None where there is none.
        facts: where the first four numbers are from.
        price: where the price is from, and its date.
        utilization: the part of the peak rate that a training is assumed to reach.
    """

    name: str
    title: str
    peak: float
    peak_float32: float
    memory: int
    watts: float | None
    dollars_per_hour: float | None
    facts: str
    price: str
    utilization: float = TRAINING_UTILIZATION

    def peak_in(self, precision: str) -> float:
        """Returns the peak rate for a dtype policy such as "mixed_bfloat16"."""
        return self.peak_float32 if precision == "float32" else self.peak


DEVICES = (
    Device(
        name="tpu-v3",
        title="TPU v3 core",
        peak=61.5 * _TERA,
        peak_float32=61.5 * _TERA,
        memory=16 * _GIB,
        watts=110,
        dollars_per_hour=1.00,
        facts="a chip has 123 TFLOP/s, 32 GiB and a mean power of 220 W; a core is half of it; "
        "from memory, to be checked in cloud.google.com/tpu/docs/v3",
        price="v3-8 in us-central1: $8.00 for 8 cores, of 2022; from memory, to be checked in "
        "cloud.google.com/tpu/pricing",
    ),
    Device(
        name="tpu-v4",
        title="TPU v4 chip",
        peak=275 * _TERA,
        peak_float32=275 * _TERA,
        memory=32 * _GIB,
        watts=170,
        dollars_per_hour=3.22,
        facts="cloud.google.com/tpu/docs/v4: 275 TFLOP/s, 32 GiB, measured mean power 170 W",
        price="cloud.google.com/tpu/pricing, us-central2, on demand, of 2022-08; not checked since",
    ),
    Device(
        name="tpu-v5e",
        title="TPU v5e chip",
        peak=197 * _TERA,
        peak_float32=197 * _TERA,
        memory=16 * _GIB,
        watts=None,
        dollars_per_hour=1.20,
        facts="197 TFLOP/s, 16 GB; its power is not published; from memory, to be checked in "
        "cloud.google.com/tpu/docs/v5e",
        price="us-central1, on demand, of 2024; from memory, to be checked in "
        "cloud.google.com/tpu/pricing",
    ),
    Device(
        name="a100",
        title="A100 40 GB",
        peak=312 * _TERA,
        peak_float32=156 * _TERA,
        memory=40 * 10**9,
        watts=400,
        dollars_per_hour=2.74,
        facts="NVIDIA A100 data sheet, SXM: 312 TFLOP/s in bfloat16, 156 in TF32, 400 W",
        price="AWS price list, p4d.24xlarge in us-east-1: $21.96 for 8, of 2026-09-24",
        utilization=GPU_TRAINING_UTILIZATION,
    ),
    Device(
        name="h100",
        title="H100 80 GB",
        peak=989 * _TERA,
        peak_float32=494 * _TERA,
        memory=80 * 10**9,
        watts=700,
        dollars_per_hour=6.88,
        facts="NVIDIA H100 data sheet, SXM: 989 TFLOP/s in bfloat16, 494 in TF32, 700 W",
        price="AWS price list, p5.48xlarge in us-east-1: $55.04 for 8, of 2026-09-24",
        utilization=GPU_TRAINING_UTILIZATION,
    ),
)
NAMES = tuple(device.name for device in DEVICES)


def get(name: str) -> Device:
    """Returns the device with that name.

    Raises:
        ValueError: there is none.
    """
    for device in DEVICES:
        if device.name == name:
            return device
    raise ValueError(
        f"a device must be one of {', '.join(NAMES)}; got {name!r}.{did_you_mean(name, NAMES)}"
    )


def core_days(seconds: float, cores: int) -> float:
    """Returns the paper's measure of cost: days of one core, however many worked in parallel."""
    return seconds * cores / 86_400
