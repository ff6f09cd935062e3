# SPDX-License-Identifier: Apache-2.0
"""Planner: everything that `mixer plan` says about one recipe."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Mapping

from mixer_tf.benchmarks import machine
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.planning import budget, devices, estimate, plan_file, sample
from mixer_tf.planning.estimate import Estimate
from mixer_tf.recipes.schema import Recipe
from mixer_tf.studies import pareto
from mixer_tf.training.length import training_length
from mixer_tf.training.plan import Plan

HERE = "here"


class Planner:
    """Collects the plan of one recipe.

    Args:
        recipe: the recipe.
        num_devices: number of accelerators that share each batch.
        utilization: assumed part of their peak rate; None for those of `devices`.
        prices: name of a device, or `HERE` → dollars per hour instead of its list price.
        watts: power of this machine; None if unknown.

    Attributes:
        plan: the training; None before its size is known.
        measurement: the speed of this machine; None before `measure`.
    """

    def __init__(
        self,
        recipe: Recipe,
        num_devices: int = 1,
        utilization: float | None = None,
        prices: Mapping[str, float] | None = None,
        watts: float | None = None,
    ):
        self.recipe, self._num_devices = recipe, num_devices
        self.utilization = utilization
        self._prices, self._watts = dict(prices or {}), watts
        self.plan: Plan | None = None
        self.measurement = self.machine = None

    def count(self, source: Source, progress: Callable[[int], None] | None = None) -> None:
        """Takes the size of the training from a source.

        Raises:
            ValueError: the source has no training images with classes.
        """
        counts = sample.count_images(source, progress)
        if not counts.get(TRAIN) or not source.class_names:
            raise ValueError(
                f"the source must have training images with classes; {source.spec} has none."
            )
        self.set_size(counts[TRAIN], counts.get(EVAL, 0), len(source.class_names))

    def set_size(self, images: int, eval_images: int, num_classes: int) -> None:
        """Sets the numbers of training images, evaluation images and classes."""
        length = training_length(self.recipe.training, images)
        self.plan = Plan(
            *(self.recipe, length, images, eval_images, num_classes),
            built=self._upscaled_config(num_classes),
        )

    def _upscaled_config(self, num_classes: int):
        """Returns the configuration of a model whose weights may be for smaller images, or None."""
        if self.recipe.model.weights is None:
            return None
        from mixer_tf import factory  # TensorFlow, which only weights need here

        return factory.config_from_recipe(self.recipe, num_classes)

    def measure(self, source: Source | None) -> None:
        """Runs the beginning of the training on this machine.

        Args:
            source: where a sample of images is taken from; None for generated photographs.

        Raises:
            ValueError: the recipe's batches cannot be divided among the GPUs of this machine.
        """
        from mixer_tf.planning import measurement
        from mixer_tf.training import distribution

        num_devices, options = measurement.count_devices(), self.recipe.training
        distribution.require_divisible(options.batch_size, num_devices, options.accumulation_steps)
        rate = num_devices * machine.matrix_rate(options.precision)
        self.machine = machine.this_machine()
        chosen = measurement.choose_sample(self.plan, rate, num_devices)
        with tempfile.TemporaryDirectory(prefix="mixer-plan-") as folder:
            data = os.path.join(folder, "data")
            if source:
                info = sample.write_sample(source, data, chosen.wanted)
            else:
                info = sample.write_generated(data, chosen.wanted, self.plan.num_classes)
            self.measurement = measurement.measure(self.plan, chosen, folder, info, rate)

    def estimates(self) -> dict[str, Estimate]:
        """Returns name of a device → estimate, this machine first."""
        found = {HERE: self._here(self.plan)} if self.measurement else {}
        for device in devices.DEVICES:
            found[device.name] = estimate.on_device(
                *(self.plan, device, self._num_devices, self.utilization),
                self._prices.get(device.name),
            )
        return found

    def _here(self, plan: Plan) -> Estimate:
        seconds, hours = self._seconds(plan), self._seconds(plan) / 3600
        price, num_devices = self._prices.get(HERE), self.measurement.num_devices
        return estimate.Estimate(
            title=self.machine.title,
            num_devices=self.machine.cores,
            seconds=seconds,
            seconds_per_step=self.measurement.step,
            images_per_second=plan.recipe.training.batch_size / self.measurement.step,
            memory=estimate.memory(plan, num_devices),
            largest_batch=estimate.largest_batch(plan, self.machine.memory, num_devices),
            kilowatt_hours=None if self._watts is None else self._watts * hours / 1000,
            dollars=None if price is None else price * hours,
            is_measured=True,
        )

    def _seconds(self, plan: Plan) -> float:
        """The time of the measured recipe, or that of another one in proportion."""
        scale = estimate.step_operations(plan) / estimate.step_operations(self.plan)
        other = dataclasses.replace(
            self.measurement,
            step=self.measurement.step * scale,
            evaluation=self.measurement.evaluation * scale,
        )
        return other.seconds(plan)

    def propose(self, seconds: float, on: str = HERE) -> list[budget.Proposal]:
        """Returns what fits in the budget."""

        def duration(plan: Plan) -> float:
            if on == HERE:
                return self._seconds(plan)
            device = devices.get(on)
            return estimate.on_device(plan, device, self._num_devices, self.utilization).seconds

        return budget.propose(self.plan, seconds, duration)

    def write(self, path: str) -> None:
        """Writes the plan of this machine."""
        plan_file.write(
            path,
            self.recipe,
            self.plan.num_images,
            self._seconds(self.plan),
            self.measurement.step,
        )

    def paper(self) -> dict[str, object]:
        """Returns cost and throughput as the paper counts them, and its frontier there."""
        cost = estimate.paper_core_days(self.plan, self.utilization)
        speed = estimate.paper_throughput(self.plan.config)
        at_cost, _, at_speed = pareto.charts()
        return {
            "core_days": cost,
            "images_per_second": speed,
            "at_cost": pareto.best_at(at_cost.points, pareto.COST, cost),
            "cheapest": pareto.frontier(at_cost.points, pareto.COST)[0],
            "at_throughput": pareto.best_at(at_speed.points, pareto.THROUGHPUT, speed),
            "fastest": pareto.frontier(at_speed.points, pareto.THROUGHPUT)[0],
        }

    def to_dict(self, proposals) -> dict[str, object]:
        """Returns the plan as JSON takes it."""
        facts = {device.name: dataclasses.asdict(device) for device in devices.DEVICES}
        paper = {
            name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value
            for name, value in self.paper().items()
        }
        found = {
            name: {**dataclasses.asdict(each), "core_days": each.core_days}
            for name, each in self.estimates().items()
        }
        result = {
            "recipe": self.recipe.to_dict(),
            "epochs": self.plan.length.epochs,
            "steps": self.plan.length.steps,
            "images": self.plan.num_images,
            "classes": self.plan.num_classes,
            "utilization": {
                device.name: self.utilization or device.utilization for device in devices.DEVICES
            },
            "estimates": found,
            "measurement": self.measurement and dataclasses.asdict(self.measurement),
            "paper": paper,
            "facts": facts,
        }
        if proposals is not None:
            result["proposals"] = [
                {
                    "set": each.assignments,
                    "seconds": each.seconds,
                    "epochs": each.plan.length.epochs,
                }
                for each in proposals
            ]
        return result
