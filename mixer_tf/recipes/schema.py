# SPDX-License-Identifier: Apache-2.0
"""What a training is made of: the fields of a recipe, their rules, and their way through JSON.

Every field is read by mixer_tf/training; tests/recipes/test_every_field_is_read.py fails on one
that is not. `overrides.py` changes single fields from the command line.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing

CROPS = ("resize", "resize_crop", "resmall_crop")
TRAIN_CROPS = ("same", "inception")
OPTIMIZERS = ("adam", "momentum")
SCHEDULES = ("linear", "cosine", "constant")
LOSSES = ("softmax", "sigmoid")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


class Options:
    """A frozen dataclass that checks the type of each field, then its own rules (`_rules`)."""

    def __post_init__(self):
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value, hint = getattr(self, field.name), hints[field.name]
            if type(value) is int and not _has_type(value, hint) and _has_type(1.0, hint):
                value = float(value)
            if isinstance(value, list):  # JSON knows no tuples
                value = tuple(value)
            object.__setattr__(self, field.name, value)
            if not _has_type(value, hint):
                raise TypeError(f"{field.name} must be {type_name(hint)}; got {value!r}.")
        for name, holds, rule in self._rules():
            if not holds:
                raise ValueError(f"{name} must be {rule}; got {name}={getattr(self, name)!r}.")

    def _rules(self):
        """Yields (field, whether its value is allowed, what it must be)."""
        return ()


@dataclasses.dataclass(frozen=True)
class ModelOptions(Options):
    """The architecture; `mixer models` lists the names.

    Attributes:
        name: of any model, such as "mixer_s16", "mixer_b8", "vit_b16" or "bit_r50x1".
        image_size: side of the square input, in pixels.
        patch_size, num_blocks, hidden_dim, tokens_mlp_dim, channels_mlp_dim: where given, they
            replace what the name stands for.
        dropout: rate behind both Dense layers of every MLP (paper: 0).
        stochastic_depth: drop probability of the last block; it rises linearly from 0.
        stochastic_depth_rescaled: divide a kept branch by its probability, as timm does.
        head_bias_init: initial bias of the head; -6.9 for 1,000 classes with the sigmoid loss.
        exact_gelu: for weights that timm has trained.
        untied: a token-mixing MLP of its own for every channel (ablation, supplement A.1).
        channel_groups: the token-mixing MLP sees so many neighbouring channels at once (ablation).
        channel_views: group learned views of each token instead of channels (ablation).
        pyramid: how many tokens leave each block, such as 196,98,49 for three (ablation).
        weights: begin with a checkpoint: a path, or a published one such as "imagenet21k". The
            head is new; for a larger image_size the weights are upscaled.
        keep_head: take the head of the weights too, where it has as many classes.
        interpolate: where image_size is no whole multiple of that of the weights, resize these as
            pictures (not in the paper).
    """

    name: str = "mixer_s16"
    image_size: int = 224
    patch_size: int | None = None
    num_blocks: int | None = None
    hidden_dim: int | None = None
    tokens_mlp_dim: int | None = None
    channels_mlp_dim: int | None = None
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    stochastic_depth_rescaled: bool = False
    head_bias_init: float = 0.0
    exact_gelu: bool = False
    untied: bool = False
    channel_groups: int = 1
    channel_views: bool = False
    pyramid: tuple[int, ...] = ()
    weights: str | None = None
    keep_head: bool = False
    interpolate: bool = False

    def _rules(self):
        yield "image_size", self.image_size >= 4, "4 or more"
        for name in DIMENSIONS:
            value = getattr(self, name)
            yield name, value is None or value > 0, "1 or more, or none"
        yield "dropout", 0 <= self.dropout < 1, "in [0, 1)"
        yield "stochastic_depth", 0 <= self.stochastic_depth < 1, "in [0, 1)"
        yield "channel_groups", self.channel_groups > 0, "1 or more"
        yield "pyramid", all(count > 0 for count in self.pyramid), "numbers of 1 or more"


DIMENSIONS = ("patch_size", "num_blocks", "hidden_dim", "tokens_mlp_dim", "channels_mlp_dim")
ABLATIONS = ("exact_gelu", "untied", "channel_groups", "channel_views", "pyramid")


@dataclasses.dataclass(frozen=True)
class DataOptions(Options):
    """How an image reaches the model's input size, and what training does to it on the way.

    Attributes:
        crop: evaluation and serving. "resize": the whole image, its sides scaled apart;
            "resize_crop": the same to 8/7 of the size, then the centre; "resmall_crop": the
            shorter side to 8/7 of the size, then the centre (paper, supplement B).
        train_crop: "same" as `crop`, or "inception": a random 5 to 100 % of the image.
        train_shorter_side: before "inception", the shorter side of a larger image is reduced to
            this many pixels, so that it is decoded only once; none keeps the image (paper).
        flip: mirror half of the images.
        shift: largest shift in pixels of the input size, in both directions; the border is black.
        rotate: largest angle in degrees, in both directions; the border is black.
        mixup: p of Beta(p, p); 0 for none.
        shuffle_buffer: how many encoded images are kept in memory to draw from.
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
        yield "shift", self.shift >= 0, "0 or more"
        yield "rotate", 0 <= self.rotate <= 180, "in [0, 180]"
        yield "mixup", self.mixup >= 0, "0 or more"
        yield "shuffle_buffer", self.shuffle_buffer > 0, "1 or more"


@dataclasses.dataclass(frozen=True)
class OptimizerOptions(Options):
    """The optimiser and its schedule (paper, section 3 and Table 4).

    Attributes:
        name: "adam" (pre-training) or "momentum" (fine-tuning).
        learning_rate: the peak.
        schedule: "linear" or "cosine" decay after the warm-up, or "constant".
        warmup_steps: linear rise from 0; at most a quarter of the training.
        final_fraction: where the linear schedule ends, as a fraction of the peak.
        weight_decay: decay of the kernels in one step at the peak; Table 4's wd times its lr.
        clip_norm: largest norm of all gradients together, or none.
        beta_1, beta_2, epsilon: of Adam.
        momentum: of momentum.
        ema: momentum of the moving average of the weights, which is what is evaluated and
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
    """How long, with what loss, and in which arithmetic.

    Attributes:
        epochs: passes over the training split.
        steps: instead of epochs, the number of updates; they are cut into equal parts, about as
            long as a pass over the training split, that are then called epochs.
        batch_size: images per step, over all devices together.
        loss: "softmax" cross-entropy, or "sigmoid" cross-entropy summed over the classes.
        seed: of the initial weights, the order of the images and their augmentation.
        precision: "float32", or a Keras policy for devices that compute faster in 16 bits.
        jit_compile: compile the step with XLA where the devices allow it.
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
    """A training, complete but for the data. Travels as JSON and lies beside the model.

    Attributes:
        name: under which `recipes.get` knows it.
        summary: one line for `mixer recipes`.
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
        from mixer_tf.recipes import overrides

        return overrides.apply(self, assignments)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Reads what `to_json` wrote; a missing field takes its default.

        Raises:
            ValueError: a field that no recipe has.
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


def _from_dict(options: type, values: dict, where: str):
    known = [field.name for field in dataclasses.fields(options)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(
            f"{where} has the fields {', '.join(known)}; got {', '.join(unknown)}. "
            "Was the file written by another version of mixer_tf?"
        )
    return options(**values)


def one_of(choices: typing.Sequence[str]) -> str:
    return "one of " + ", ".join(choices)


def type_name(hint) -> str:
    """Returns a type as a user would say it: "a whole number, or none"."""
    if isinstance(hint, types.UnionType):
        inner = [type_name(part) for part in typing.get_args(hint) if part is not types.NoneType]
        return ", ".join([*inner, "or none"])
    words = {
        tuple[int, ...]: "whole numbers with commas between them",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
    }
    return words.get(hint, getattr(hint, "__name__", str(hint)))


def _has_type(value, hint) -> bool:
    if isinstance(value, bool):  # a bool is an int to isinstance
        return hint is bool
    if isinstance(value, tuple):
        return hint == tuple[int, ...] and all(_has_type(item, int) for item in value)
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return not isinstance(hint, types.GenericAlias) and isinstance(value, hint)
