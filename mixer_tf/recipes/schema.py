# SPDX-License-Identifier: Apache-2.0
"""The fields of a recipe, their rules, and a recipe as JSON.

Every field is read by the code of the training; tests/recipes/test_every_field_is_read.py fails on
one that is not.
"""

from __future__ import annotations

import dataclasses
import json
import typing

from mixer_tf.recipes import overrides
from mixer_tf.recipes.model_options import ModelOptions
from mixer_tf.recipes.options import Options, one_of

CROPS = ("resize", "resize_crop", "resmall_crop")
TRAIN_CROPS = ("same", "inception")
OPTIMIZERS = ("adam", "momentum")
SCHEDULES = ("linear", "cosine", "constant")
LOSSES = ("softmax", "sigmoid")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclasses.dataclass(frozen=True)
class DataOptions(Options):
    """How an image reaches the model's input size, and how training augments it.

    Attributes:
        crop: for evaluation and serving. "resize": the whole image, without keeping its aspect
            ratio; "resize_crop": the same to 8/7 of the size, then a center crop; "resmall_crop":
            the shorter side to 8/7 of the size, then a center crop (paper, supplement B).
        train_crop: "same" as `crop`, or "inception": a random 5 to 100 % of the image.
        train_shorter_side: before the "inception" crop, the shorter side of a larger image is
            reduced to this many pixels, so that it is decoded only once; none keeps the image
            (paper).
        flip: mirror half of the images.
        shift: largest shift in pixels of the input size, in both directions; the border is black.
        rotate: largest angle in degrees, in both directions; the border is black.
        mixup: p of Beta(p, p); 0 for none.
        shuffle_buffer: number of encoded images in the shuffle buffer.
    """

    crop: str = "resmall_crop"
    train_crop: str = "inception"
    train_shorter_side: int | None = None
    flip: bool = True
    shift: int = 0
    rotate: float = 0.0
    mixup: float = 0.0
    shuffle_buffer: int = 10_000

    def _rules(self):
        yield "crop", self.crop in CROPS, one_of(CROPS)
        yield "train_crop", self.train_crop in TRAIN_CROPS, one_of(TRAIN_CROPS)
        side = self.train_shorter_side
        yield "train_shorter_side", side is None or side > 0, "1 or more, or none"
        is_used = side is None or self.train_crop == "inception"
        yield "train_shorter_side", is_used, 'none unless train_crop is "inception"'
        yield "shift", self.shift >= 0, "0 or more"
        yield "rotate", 0 <= self.rotate <= 180, "in [0, 180]"
        yield "mixup", self.mixup >= 0, "0 or more"
        yield "shuffle_buffer", self.shuffle_buffer > 0, "1 or more"


@dataclasses.dataclass(frozen=True)
class OptimizerOptions(Options):
    """The optimizer and its schedule (paper, section 3 and Table 4).

    Attributes:
        name: "adam" (pre-training) or "momentum" (fine-tuning).
        learning_rate: peak learning rate.
        schedule: "linear" or "cosine" decay after the warmup, or "constant".
        warmup_steps: steps of linear warmup from 0; at most a quarter of the training.
        final_fraction: final learning rate of the linear schedule, as a fraction of the peak.
        weight_decay: decay of the kernels in one step at the peak learning rate; Table 4's wd times
            its lr.
        clip_norm: maximum global norm of the gradients, or none.
        beta_1: Adam's decay rate of the first moment, in [0, 1).
        beta_2: Adam's decay rate of the second moment, in [0, 1).
        epsilon: Adam's constant for numerical stability.
        momentum: momentum coefficient of the "momentum" optimizer, in [0, 1).
        ema: decay of the exponential moving average of the weights, which is evaluated and
            exported; 0 for none.
    """

    name: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "linear"
    warmup_steps: int = 10_000
    final_fraction: float = 1e-5
    weight_decay: float = 1e-4
    clip_norm: float | None = 1.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    momentum: float = 0.9
    ema: float = 0.0

    def _rules(self):
        yield "name", self.name in OPTIMIZERS, one_of(OPTIMIZERS)
        yield "learning_rate", self.learning_rate > 0, "more than 0"
        yield "schedule", self.schedule in SCHEDULES, one_of(SCHEDULES)
        yield "warmup_steps", self.warmup_steps >= 0, "0 or more"
        yield "final_fraction", 0 <= self.final_fraction <= 1, "in [0, 1]"
        yield "weight_decay", 0 <= self.weight_decay < 1, "in [0, 1)"
        clip_norm = self.clip_norm
        yield "clip_norm", clip_norm is None or clip_norm > 0, "more than 0, or none"
        for name in ("beta_1", "beta_2", "momentum", "ema"):
            yield name, 0 <= getattr(self, name) < 1, "in [0, 1)"
        yield "epsilon", self.epsilon > 0, "more than 0"


@dataclasses.dataclass(frozen=True)
class TrainingOptions(Options):
    """The length of the training, its loss and its precision.

    Attributes:
        epochs: passes over the training split.
        steps: number of training steps, instead of epochs; they are divided into equal parts,
            about as long as a pass over the training split, that are then called epochs.
        batch_size: global batch size: images per step on all devices together.
        loss: "softmax" cross-entropy, or "sigmoid" cross-entropy summed over the classes.
        seed: random seed for the initial weights, the order of the images and their augmentation.
        precision: Keras dtype policy: "float32", or "mixed_bfloat16" or "mixed_float16" for devices
            that compute faster in 16 bits.
        jit_compile: compile the training step with XLA if the devices support it.
    """

    epochs: int = 300
    steps: int | None = None
    batch_size: int = 4096
    loss: str = "softmax"
    seed: int = 0
    precision: str = "float32"
    jit_compile: bool = False

    def _rules(self):
        yield "epochs", self.epochs > 0, "1 or more"
        yield "steps", self.steps is None or self.steps > 0, "1 or more, or none"
        yield "batch_size", self.batch_size > 0, "1 or more"
        yield "loss", self.loss in LOSSES, one_of(LOSSES)
        yield "seed", self.seed >= 0, "0 or more"
        yield "precision", self.precision in PRECISIONS, one_of(PRECISIONS)


@dataclasses.dataclass(frozen=True)
class Recipe(Options):
    """Everything that defines a training except the dataset; it is saved beside the model as JSON.

    Attributes:
        name: the argument of `recipes.get`.
        summary: one line for `mixer recipes`.
        model, data, optimizer, training: the sections, whose fields can be overridden.
    """

    name: str
    summary: str
    model: ModelOptions
    data: DataOptions
    optimizer: OptimizerOptions
    training: TrainingOptions

    def override(self, assignments: typing.Sequence[str]) -> Recipe:
        """Returns a copy with fields replaced, each given as "section.field=value".

        Raises:
            ValueError: an unknown field, or a value that its rule or type forbids.
        """
        return self.replace(**overrides.apply(self.sections(), assignments))

    def sections(self) -> dict[str, Options]:
        """Returns the sections by name."""
        return {section: getattr(self, section) for section in SECTIONS}

    def to_dict(self) -> dict[str, object]:
        sections = {name: options.to_dict() for name, options in self.sections().items()}
        return {"name": self.name, "summary": self.summary, **sections}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Reads what `to_json` wrote; a missing field takes its default.

        Raises:
            ValueError: a field that no recipe has, or a value that its rule or type forbids.
        """
        values = json.loads(text)
        for section, options in SECTIONS.items():
            values[section] = _from_dict(options, values.get(section, {}), section)
        return _from_dict(cls, values, "recipe")


SECTIONS: dict[str, type[Options]] = {
    "model": ModelOptions,
    "data": DataOptions,
    "optimizer": OptimizerOptions,
    "training": TrainingOptions,
}


def _from_dict(options: type[Options], values: dict, where: str):
    known = options.field_types(values)
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(
            f"{where} has the fields {', '.join(known)}; got {', '.join(unknown)}. "
            "Was the file written by another version of mixer_tf?"
        )
    return options(**values)
