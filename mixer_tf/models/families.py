# SPDX-License-Identifier: Apache-2.0
"""Family: what a kind of model must tell about itself to be built, listed and counted by name.

Mixer is in `presets.py`; here are the models that the paper compares it with. No TensorFlow.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable

from mixer_tf.models import bit_config, vit_config


@dataclasses.dataclass(frozen=True)
class Family:
    """One kind of model.

    Attributes:
        noun: for messages, "ViT".
        names: the models that are listed, from small to large.
        parse: a name in any spelling -> its canonical spelling and the dimensions that it stands
            for; None where it is not of this family.
        config_class: a dataclass that every model of the family is described by.
        dimensions: the fields of it that a name stands for, or that must be given by hand.
        model: "module:class" of the Keras model.
    """

    noun: str
    names: tuple[str, ...]
    parse: Callable[[str], tuple[str, dict[str, object]] | None]
    config_class: type
    dimensions: tuple[str, ...]
    model: str

    @property
    def fields(self) -> list[str]:
        """The names of the configuration's fields."""
        return [field.name for field in dataclasses.fields(self.config_class)]

    def model_class(self) -> type:
        """Returns the Keras model's class; imports TensorFlow."""
        module, _, name = self.model.partition(":")
        return getattr(importlib.import_module(module), name)


VIT = Family(
    noun="ViT",
    names=vit_config.NAMES,
    parse=vit_config.parse,
    config_class=vit_config.ViTConfig,
    dimensions=vit_config.DIMENSIONS,
    model="mixer_tf.models.vit:VisionTransformer",
)
BIT = Family(
    noun="BiT",
    names=bit_config.NAMES,
    parse=bit_config.parse,
    config_class=bit_config.BiTConfig,
    dimensions=bit_config.DIMENSIONS,
    model="mixer_tf.models.resnet_bit:BiTResNet",
)
