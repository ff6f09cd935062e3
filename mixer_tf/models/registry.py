# SPDX-License-Identifier: Apache-2.0
"""The models by name: what "mixer_b16" means, and what it costs. Imports no TensorFlow."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable

from mixer_tf.messages import did_you_mean
from mixer_tf.models import bit_config, costs, mixer_config, vit_config

IMAGE_SIZE, NUM_CLASSES = 224, 1000  # where nothing else is asked for: ImageNet's


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


MIXER = Family(
    noun="Mixer",
    names=mixer_config.NAMES,
    parse=mixer_config.parse,
    config_class=mixer_config.MixerConfig,
    dimensions=mixer_config.DIMENSIONS,
    model="mixer_tf.models.mlp_mixer:MlpMixer",
)
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
    model="mixer_tf.models.bit:BiTResNet",
)
FAMILIES = {"mixer": MIXER, "vit": VIT, "bit": BIT}


@dataclasses.dataclass(frozen=True)
class Description:
    """One row of the table of models.

    Attributes:
        name: such as "mixer_b16".
        config: every dimension of the model; `MixerConfig`, `ViTConfig` or `BiTConfig`.
        parameters: number of trainable weights.
        multiply_adds: for one image.
    """

    name: str
    config: object
    parameters: int
    multiply_adds: int


def list_models(family: str = "mixer") -> list[str]:
    """Returns the names of a family's models, from small to large.

    Args:
        family: "mixer" for the paper's seven, "vit" or "bit" for those it compares them with.

    Raises:
        ValueError: there is no such family.
    """
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}; got {family!r}.")
    return list(FAMILIES[family].names)


def describe(
    name: str, image_size=IMAGE_SIZE, num_classes: int = NUM_CLASSES, **overrides
) -> Description:
    """Returns what a model of that name costs; arguments and errors as in `create_model`."""
    config = resolve(name, image_size=image_size, num_classes=num_classes, **overrides)
    return Description(
        name=canonical_name(name),
        config=config,
        parameters=costs.count_parameters(config),
        multiply_adds=costs.count_multiply_adds(config),
    )


def resolve(name: str, *, image_size, **fields):
    """Returns the configuration of that name, with `fields` over it; see `create_model`."""
    family, _, dimensions = find(name)
    for field in fields:
        if field not in family.fields:
            raise TypeError(
                f"a {family.noun} has no field {field!r}.{did_you_mean(field, family.fields)} "
                f"Fields: {', '.join(family.fields)}."
            )
    fields = {**dimensions, **fields}
    missing = [field for field in family.dimensions if field not in fields]
    if missing:
        raise ValueError(
            f"the model {name!r} needs every dimension; got no {', '.join(missing)}. "
            f"Give them, or use a name such as {family.names[1]!r}."
        )
    return family.config_class(image_size=image_size, **fields)


def family_of(name: str) -> Family:
    """Returns MIXER, VIT or BIT."""
    return find(name)[0]


def canonical_name(name: str) -> str:
    """Returns "mixer_s8" for any spelling of it, such as "S/8" or "Mixer-S_8"."""
    return find(name)[1]


def find(name: str) -> tuple[Family, str, dict[str, object]]:
    """Returns the family of a model, its canonical name and the dimensions of that name."""
    for family in FAMILIES.values():
        if parsed := family.parse(name):
            return family, *parsed
    names = [name for family in FAMILIES.values() for name in family.names]
    raise ValueError(
        f"unknown model {name!r}.{did_you_mean(name.lower(), names)} "
        f"Models: {'; '.join(', '.join(family.names) for family in FAMILIES.values())}; "
        f"the sizes s, b, l and h take any patch size (mixer_s8), and {mixer_config.EXPLICIT!r} "
        "takes all its dimensions as arguments."
    )
