# SPDX-License-Identifier: Apache-2.0
"""The fields of a recipe, their rules, and a recipe as JSON.

Every field is read by the code of the training; tests/recipes/test_every_field_is_read.py fails on
one that is not.
"""

from __future__ import annotations

import dataclasses
import json
import typing

from mixer_tf.models.validation import MAX_SIDE, shown
from mixer_tf.recipes import layer_factors, overrides
from mixer_tf.recipes.model_options import ModelOptions
from mixer_tf.recipes.options import Options, one_of, with_section

CROPS = ("resize", "resize_crop", "resmall_crop")
TRAIN_CROPS = ("same", "inception", "resize_random")
OPTIMIZERS = ("adam", "momentum")
MOMENTUM_DTYPES = ("float32", "bfloat16")
SCHEDULES = ("linear", "cosine", "step", "constant")
LOSSES = ("softmax", "sigmoid")
CLASS_WEIGHTS = ("balanced",)
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
# Far above what any training has: anything larger is a slip or a corrupt file.
_MAX_BATCH_SIZE = 1 << 20
_MAX_EPOCHS = 1_000_000
_MAX_STEPS = 1_000_000_000
_MAX_SEED = (1 << 32) - 1  # the range of numpy's seeds
_MAX_NUMBER = 1e9
_MAX_LAYERS = 16
# RandAugment's Posterize keeps 4/10 of the magnitude as bits, at most 8; the paper's largest is 20.
_MAX_MAGNITUDE = 22.4


@dataclasses.dataclass(frozen=True)
class DataOptions(Options):
    """How an image reaches the model's input size, and how training augments it.

    Attributes:
        crop: for evaluation and serving. "resize": the whole image, without keeping its aspect
            ratio; "resize_crop": the same to 8/7 of the size, then a center crop; "resmall_crop":
            the shorter side to 8/7 of the size, then a center crop (paper, supplement B).
        train_crop: "same" as `crop`; "inception": a random 5 to 100 % of the image; or
            "resize_random": the shorter side to 8/7 of the size, then a crop at a random position.
        train_shorter_side: before the "inception" crop, the shorter side of a larger image is
            reduced to this many pixels, so that it is decoded only once; none keeps the image
            (paper).
        flip: mirror half of the images.
        shift: largest shift in pixels of the input size, in both directions; the border is black.
        rotate: largest angle in degrees, in both directions; the border is black.
        color_jitter: largest relative change of brightness, contrast and saturation, such as 0.4; 0
            for none.
        randaugment_layers: number of RandAugment's operations per image; 0 for none, the paper's N
            is 2.
        randaugment_magnitude: the paper's m, the strength of RandAugment's operations; 10, 15 or 20
            in Table 4. A magnitude of 0 is not none: some operations are strongest there. It suits
            224 pixels: Translate moves by 10·m pixels, which leaves a small image plain gray.
        randaugment_wraparound: compare the threshold of RandAugment's Solarize as a uint8, as the
            authors' code does: it inverts at the magnitudes 10 and 20. False compares integers.
        mixup: p of Beta(p, p); 0 for none.
        cutmix: share of the batches, in [0, 1], in which CutMix takes the place of mixup: of each
            image, a rectangle is that of another image. Not in the paper; 0 for none.
        shuffle_buffer: number of images in the shuffle buffer, as in big_vision's configs
            mlp_mixer_i1k (250,000) and transfer (50,000); less where they do not fit in memory.
    """

    crop: str = "resmall_crop"
    train_crop: str = "inception"
    train_shorter_side: int | None = None
    flip: bool = True
    shift: int = 0
    rotate: float = 0.0
    color_jitter: float = 0.0
    randaugment_layers: int = 0
    randaugment_magnitude: float = 0.0
    randaugment_wraparound: bool = True
    mixup: float = 0.0
    cutmix: float = 0.0
    shuffle_buffer: int = 250_000

    @property
    def mixes_images(self) -> bool:
        """Whether mixup or CutMix mixes the images of a batch."""
        return bool(self.mixup or self.cutmix)

    def _rules(self):
        yield "crop", self.crop in CROPS, one_of(CROPS)
        yield "train_crop", self.train_crop in TRAIN_CROPS, one_of(TRAIN_CROPS)
        side = self.train_shorter_side
        is_sensible = side is None or 0 < side <= MAX_SIDE
        yield "train_shorter_side", is_sensible, f"from 1 to {MAX_SIDE:,}, or none"
        is_used = side is None or self.train_crop == "inception"
        yield "train_shorter_side", is_used, 'none unless train_crop is "inception"'
        yield _in_range(self, "shift", 0, MAX_SIDE)
        yield "rotate", 0 <= self.rotate <= 180, "in [0, 180]"
        yield "color_jitter", 0 <= self.color_jitter <= 1, "in [0, 1]"
        yield _in_range(self, "randaugment_layers", 0, _MAX_LAYERS)
        is_sensible = 0 <= self.randaugment_magnitude <= _MAX_MAGNITUDE
        yield "randaugment_magnitude", is_sensible, f"from 0 to {_MAX_MAGNITUDE}"
        is_used = not self.randaugment_magnitude or self.randaugment_layers > 0
        yield "randaugment_magnitude", is_used, "0 unless randaugment_layers is at least 1"
        yield _in_range(self, "mixup", 0, _MAX_NUMBER)
        yield "cutmix", 0 <= self.cutmix <= 1, "in [0, 1]"
        yield _in_range(self, "shuffle_buffer", 1, _MAX_STEPS)


@dataclasses.dataclass(frozen=True)
class OptimizerOptions(Options):
    """The optimizer and its schedule (paper, section 3 and Table 4).

    Attributes:
        name: "adam" (pre-training) or "momentum" (fine-tuning).
        learning_rate: peak learning rate.
        layer_rates: patterns of layers, as in training.freeze, with factors of their learning rate,
            such as "stem=0.1,MixerBlock_*=0.1"; the others have 1, and none is 1 for all. The
            weight decay of these layers is multiplied as well.
        schedule: "linear" or "cosine" decay after the warmup; "step", divided by 10 after each of
            `decay_steps`; or "constant".
        warmup_steps: steps of linear warmup from 0; a quarter of a training that they would fill.
        decay_steps: steps of the "step" schedule, in ascending order.
        final_fraction: final learning rate of the linear schedule, as a fraction of the peak.
        weight_decay: decay of the kernels in one step at the peak learning rate; Table 4's wd times
            its lr.
        clip_norm: maximum global norm of the gradients, or none.
        beta_1: Adam's decay rate of the first moment, in [0, 1).
        beta_2: Adam's decay rate of the second moment, in [0, 1).
        epsilon: Adam's constant for numerical stability.
        momentum: momentum coefficient of the "momentum" optimizer, in [0, 1).
        momentum_dtype: type in which the momentum, and Adam's first moment, are stored: "float32",
            or "bfloat16", which needs half of the memory. The authors' fine-tuning has bfloat16;
            its momentum of 0.9 then is 0.8984.
        ema: decay of the exponential moving average of the weights, which is evaluated and
            exported; 0 for none.
    """

    name: str = "adam"
    learning_rate: float = 1e-3
    layer_rates: str | None = None
    schedule: str = "linear"
    warmup_steps: int = 10_000
    decay_steps: tuple[int, ...] = ()
    final_fraction: float = 1e-5
    weight_decay: float = 1e-4
    clip_norm: float | None = 1.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    momentum: float = 0.9
    momentum_dtype: str = "float32"
    ema: float = 0.0

    def _rules(self):
        yield "name", self.name in OPTIMIZERS, one_of(OPTIMIZERS)
        is_sensible = 0 < self.learning_rate <= _MAX_NUMBER
        yield "learning_rate", is_sensible, f"more than 0 and at most {_MAX_NUMBER:,.0f}"
        yield from self._layer_rules()
        yield "schedule", self.schedule in SCHEDULES, one_of(SCHEDULES)
        yield _in_range(self, "warmup_steps", 0, _MAX_STEPS)
        steps = self.decay_steps
        is_used = not steps or self.schedule == "step"
        yield "decay_steps", is_used, 'empty unless schedule is "step"'
        is_ascending = steps == tuple(sorted(set(steps)))
        yield "decay_steps", is_ascending, "in ascending order"
        has_steps = bool(steps) or self.schedule != "step"
        yield "decay_steps", has_steps, 'given where schedule is "step"'
        is_after = not steps or self.warmup_steps <= steps[0]
        yield "decay_steps", is_after, f"from the end of the warmup on, {self.warmup_steps}"
        yield "final_fraction", 0 <= self.final_fraction <= 1, "in [0, 1]"
        yield "weight_decay", 0 <= self.weight_decay < 1, "in [0, 1)"
        clip_norm = self.clip_norm
        yield "clip_norm", clip_norm is None or clip_norm > 0, "more than 0, or none"
        for name in ("beta_1", "beta_2", "momentum", "ema"):
            yield name, 0 <= getattr(self, name) < 1, "in [0, 1)"
        yield "momentum_dtype", self.momentum_dtype in MOMENTUM_DTYPES, one_of(MOMENTUM_DTYPES)
        yield "epsilon", self.epsilon > 0, "more than 0"

    def _layer_rules(self):
        if self.layer_rates is None:
            return
        is_valid = layer_factors.is_valid(self.layer_rates, _MAX_NUMBER)
        rule = 'patterns of layers, each once and with a factor, such as "stem=0.1,block_*=0.1"'
        yield "layer_rates", is_valid, f"{rule}, or none"
        has_zero = is_valid and 0 in layer_factors.parse(self.layer_rates).values()
        rule = "made of factors above 0; training.freeze keeps layers as they are"
        yield "layer_rates", not has_zero, rule


@dataclasses.dataclass(frozen=True)
class TrainingOptions(Options):
    """The length of the training, its loss and its precision.

    Attributes:
        epochs: passes over the training split; the total is rounded to whole steps, once.
        steps: number of training steps, instead of epochs; they are divided into equal parts,
            about as long as a pass over the training split, that are then called epochs.
        batch_size: global batch size: images per step on all devices together.
        accumulation_steps: number of equal parts in which a device computes its part of a batch,
            one after the other, to need less memory; the result is that of the whole batch, except
            for what dropout and stochastic depth draw, which differs for each part.
        recompute: compute the activations of each block a second time for the gradient instead of
            keeping them: a training of many blocks needs a fraction of the memory, and a third
            more operations; the result is the same.
        steps_per_execution: steps that run before the progress is shown; more of them save time
            where a step is short. none for 1, and for 50 on a TPU.
        loss: "softmax" cross-entropy, or "sigmoid" cross-entropy summed over the classes.
        label_smoothing: part of each label that is spread evenly over all classes ("softmax"), or
            moved toward 1/2 ("sigmoid"), as in Keras; in [0, 1). The loss of the evaluation has it
            as well.
        class_weights: "balanced" multiplies the loss of an image by n / (k·nᵢ), where nᵢ of the n
            training images have its class and k is the number of classes with images
            (scikit-learn's formula); none for equal weights. Of an image that was mixed, the
            part of each class has the weight of that class.
        freeze: patterns of layers that keep their weights, separated by commas, such as
            "stem,block_*"; none to train all.
        seed: random seed for the initial weights, the order of the images and their augmentation.
        precision: Keras dtype policy: "float32", or "mixed_bfloat16" or "mixed_float16" for devices
            that compute faster in 16 bits.
        patience: stop after this many epochs without a better top-1 on the evaluation split, or an
            equal one with a lower loss; none trains to the end.
        jit_compile: compile the training step with XLA if the devices support it.
    """

    epochs: int = 300
    steps: int | None = None
    batch_size: int = 4096
    accumulation_steps: int = 1
    recompute: bool = False
    steps_per_execution: int | None = None
    loss: str = "softmax"
    label_smoothing: float = 0.0
    class_weights: str | None = None
    freeze: str | None = None
    seed: int = 0
    precision: str = "float32"
    patience: int | None = None
    jit_compile: bool = False

    def _rules(self):
        yield _in_range(self, "epochs", 1, _MAX_EPOCHS)
        is_sensible = self.steps is None or 0 < self.steps <= _MAX_STEPS
        yield "steps", is_sensible, f"from 1 to {_MAX_STEPS:,}, or none"
        yield _in_range(self, "batch_size", 1, _MAX_BATCH_SIZE)
        yield _in_range(self, "accumulation_steps", 1, _MAX_BATCH_SIZE)
        is_divisor = self.batch_size % self.accumulation_steps == 0
        yield "accumulation_steps", is_divisor, f"a divisor of batch_size={self.batch_size}"
        steps = self.steps_per_execution
        is_sensible = steps is None or 0 < steps <= _MAX_STEPS
        yield "steps_per_execution", is_sensible, f"from 1 to {_MAX_STEPS:,}, or none"
        yield "loss", self.loss in LOSSES, one_of(LOSSES)
        yield "label_smoothing", 0 <= self.label_smoothing < 1, "in [0, 1)"
        is_known = self.class_weights in (None, *CLASS_WEIGHTS)
        yield "class_weights", is_known, f"{one_of(CLASS_WEIGHTS)}, or none"
        is_given = self.freeze is None or bool(self.freeze.strip(" ,"))
        yield "freeze", is_given, 'names of layers such as "stem,block_*", or none'
        yield _in_range(self, "seed", 0, _MAX_SEED)
        is_sensible = self.patience is None or 0 < self.patience <= _MAX_EPOCHS
        yield "patience", is_sensible, f"from 1 to {_MAX_EPOCHS:,}, or none"
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

        A number of epochs replaces the number of steps that a recipe may have instead.

        Raises:
            ValueError: an unknown field, a value that its rule or type forbids, or numbers of
                epochs and of steps.
        """
        changed = self.replace(**overrides.apply(self.sections(), assignments))
        named = {assignment.partition("=")[0].strip() for assignment in assignments}
        training = changed.training
        if "training.epochs" not in named or training.steps is None:
            return changed
        if "training.steps" in named:
            raise ValueError(
                f"training.epochs and training.steps must not be given together; got "
                f"{training.epochs} epochs and {training.steps} steps. Leave one of them out."
            )
        return changed.replace(training=training.replace(steps=None))

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
            ValueError: the text is not JSON, or is not a recipe, such as one with a field that no
                recipe has, or a value that its rule or type forbids.
        """
        values = _parse_object(text)
        for section, options in SECTIONS.items():
            values[section] = _from_dict(options, values.get(section, {}), section)
        return _from_dict(cls, values, "recipe")


SECTIONS: dict[str, type[Options]] = {
    "model": ModelOptions,
    "data": DataOptions,
    "optimizer": OptimizerOptions,
    "training": TrainingOptions,
}


def _in_range(options: Options, name: str, least, most) -> tuple[str, bool, str]:
    """Returns the rule of a field that must be in [least, most]."""
    return name, least <= getattr(options, name) <= most, f"from {least} to {most:,.0f}"


def _parse_object(text: str) -> dict:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:  # The second: thousands of brackets.
        raise ValueError(f"a recipe must be JSON, as `to_json` writes it; {error}.") from None
    if not isinstance(values, dict):
        raise ValueError(f"a recipe must be a JSON object; got {shown(values)}.")
    missing = [name for name in ("name", "summary") if name not in values]
    if missing:
        raise ValueError(f"a recipe must have a {' and a '.join(missing)}; the JSON has none.")
    return values


def _from_dict(options: type[Options], values, where: str):
    if not isinstance(values, dict):
        raise ValueError(f"{where} must be a JSON object with fields; got {shown(values)}.")
    if not isinstance(name := values.get("name", ""), str):  # It decides which fields there are.
        raise ValueError(f"the name of a {where} must be a string; got {shown(name)}.")
    known = options.field_types(values)
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(
            f"{where} has the fields {', '.join(known)}; got {', '.join(map(shown, unknown))}. "
            "Was the file written by another version of mixer_tf?"
        )
    try:
        return options(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(with_section(where, error, known)) from None
