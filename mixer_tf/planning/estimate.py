# SPDX-License-Identifier: Apache-2.0
"""What a planned training needs on a device: time, memory, energy, price. No TensorFlow."""

from __future__ import annotations

import dataclasses
import math

from mixer_tf.models import costs
from mixer_tf.planning import devices
from mixer_tf.planning.devices import Device
from mixer_tf.training.plan import Plan

_OPERATIONS = 2  # a multiplication and an addition


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A training on one type of device.

    Attributes:
        title: the device.
        num_devices: number of devices that share each batch.
        seconds: duration.
        seconds_per_step: duration of a training step.
        images_per_second: training rate of all devices together.
        memory: bytes on each device.
        largest_batch: the largest global batch, a power of two for each device, that fits in
            memory; 0 where not even one image for each device does.
        kilowatt_hours: energy of the devices alone; None where their power is unknown.
        dollars: None where there is no price.
        is_measured: whether the rate was measured, and is not an assumed part of the peak.
    """

    title: str
    num_devices: int
    seconds: float
    seconds_per_step: float
    images_per_second: float
    memory: int
    largest_batch: int
    kilowatt_hours: float | None
    dollars: float | None
    is_measured: bool = False

    @property
    def core_days(self) -> float:
        """Days of one device, as the paper counts the cores of a TPU v3."""
        return devices.core_days(self.seconds, self.num_devices)


def operations(plan: Plan) -> float:
    """Returns the floating-point operations of a training, with its evaluations."""
    return plan.length.steps * step_operations(plan) + plan.length.epochs * _evaluation(plan)


def step_operations(plan: Plan) -> float:
    """Returns the floating-point operations of a training step."""
    return _OPERATIONS * plan.multiply_adds_per_step


def _evaluation(plan: Plan) -> float:
    """Returns the floating-point operations of one evaluation: the forward pass alone."""
    return _OPERATIONS * plan.num_eval_images * costs.count_multiply_adds(plan.config)


def on_device(
    plan: Plan,
    device: Device,
    num_devices: int = 1,
    utilization: float | None = None,
    dollars_per_hour: float | None = None,
) -> Estimate:
    """Returns what a training needs on a device.

    Args:
        plan: its model, length and images.
        device: the type of device.
        num_devices: number of devices that share each batch; they are assumed not to wait.
        utilization: assumed part of the peak rate, in (0, 1]; None for that of the device.
        dollars_per_hour: price of one device; None for its list price.
    """
    peak = num_devices * device.peak_in(plan.recipe.training.precision)
    rate = peak * (utilization or device.utilization)
    seconds, hours = operations(plan) / rate, operations(plan) / rate / 3600
    price = device.dollars_per_hour if dollars_per_hour is None else dollars_per_hour
    return Estimate(
        title=device.title,
        num_devices=num_devices,
        seconds=seconds,
        seconds_per_step=step_operations(plan) / rate,
        images_per_second=plan.recipe.training.batch_size * rate / step_operations(plan),
        memory=memory(plan, num_devices),
        largest_batch=largest_batch(plan, device.memory * devices.USABLE_MEMORY, num_devices),
        kilowatt_hours=None if device.watts is None else device.watts * num_devices * hours / 1000,
        dollars=None if price is None else price * num_devices * hours,
    )


def memory(plan: Plan, num_devices: int = 1) -> int:
    """Returns the bytes on each of the devices that share a batch."""
    parts = num_devices * plan.recipe.training.accumulation_steps
    images = math.ceil(plan.recipe.training.batch_size / parts)
    return plan.weight_bytes + plan.optimizer_bytes + images * _image_bytes(plan)


def largest_batch(plan: Plan, num_bytes: float, num_devices: int = 1) -> int:
    """Returns the largest global batch, a power of two for each device, that fits.

    Args:
        plan: the training.
        num_bytes: memory of a device.
        num_devices: number of devices that share a batch.
    """
    left = num_bytes - plan.weight_bytes - plan.optimizer_bytes
    images = int(left // _image_bytes(plan))
    parts = num_devices * plan.recipe.training.accumulation_steps
    return parts * (1 << images.bit_length() - 1) if images > 0 else 0


def _image_bytes(plan: Plan) -> int:
    training = plan.recipe.training
    return costs.training_activation_bytes(plan.config, training.precision, training.recompute)


def paper_core_days(plan: Plan, utilization: float | None = None) -> float:
    """Returns the core-days of a TPU v3, in which the paper states the cost of its models."""
    return on_device(plan, devices.get("tpu-v3"), 1, utilization).core_days


def paper_throughput(config) -> float:
    """Returns the images per second and core of a TPU v3 at inference, as far as they follow.

    The utilization is that of the paper's mixer_b16; its models have between 29 and 76 %.

    Args:
        config: the model.
    """
    peak = devices.get("tpu-v3").peak * devices.INFERENCE_UTILIZATION
    return peak / (_OPERATIONS * costs.count_multiply_adds(config))
