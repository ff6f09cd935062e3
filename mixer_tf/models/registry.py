# SPDX-License-Identifier: Apache-2.0
"""The models by name: the configuration, cost and Keras class of "mixer_b16". No TensorFlow."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable

from mixer_tf.messages import did_you_mean
from mixer_tf.models import bit_config, costs, mixer_config, vit_config

IMAGE_SIZE, NUM_CLASSES = 224, 1000  # defaults, as for ImageNet


@dataclasses.dataclass(frozen=True)
class Family:
    """An architecture with all its sizes.

    Attributes:
        noun: name of the architecture in messages, such as "ViT".
        names: the models that are listed, from small to large.
        parse: maps a name in any spelling to its canonical spelling and the dimensions that it
            determines; returns None if it is not a name of this family.
        config_class: the dataclass that describes every model of the family.
        dimensions: the fields of `config_class` that a name determines. Without a name, all of
            them are required.
        model: "module:class" of the Keras model.
        ablation_model: "module:class" of the Keras model for configurations with `ablations`.
    """

    noun: str
    names: tuple[str, ...]
    parse: Callable[[str], tuple[str, dict[str, object]] | None]
    config_class: type
    dimensions: tuple[str, ...]
    model: str
    ablation_model: str | None = None

    @property
    def fields(self) -> list[str]:
        """The names of the fields of `config_class`."""
        return [field.name for field in dataclasses.fields(self.config_class)]

    def model_class(self, config) -> type:
        """Returns the class of the Keras model with that configuration; imports TensorFlow."""
        has_ablations = self.ablation_model and config.ablations
        module, _, name = (self.ablation_model if has_ablations else self.model).partition(":")
        return getattr(importlib.import_module(module), name)


MIXER = Family(
    noun="Mixer",
    names=mixer_config.NAMES,
    parse=mixer_config.parse,
    config_class=mixer_config.MixerConfig,
    dimensions=mixer_config.DIMENSIONS,
    model="mixer_tf.models.mlp_mixer:MlpMixer",
    ablation_model="mixer_tf.models.ablations:AblationMixer",
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
    """A model and its cost.

    Attributes:
        name: canonical name, such as "mixer_b16".
        config: its `MixerConfig`, `ViTConfig` or `BiTConfig`.
        parameters: number of trainable parameters.
        multiply_adds: number of multiply-adds per image.
    """

    name: str
    config: object
    parameters: int
    multiply_adds: int


def list_models(family: str = "mixer") -> list[str]:
    """Returns the names of the models of a family, from small to large.

    Args:
        family: "mixer" for the seven models of the paper; "vit" or "bit" for its baselines.

    Raises:
        ValueError: there is no such family.
    """
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}; got {family!r}.")
    return list(FAMILIES[family].names)


def describe(
    name: str, image_size=IMAGE_SIZE, num_classes: int = NUM_CLASSES, **overrides
) -> Description:
    """Returns the configuration and cost of a model; arguments and errors as in `create_model`."""
    config = resolve(name, image_size=image_size, num_classes=num_classes, **overrides)
    return Description(
        name=canonical_name(name),
        config=config,
        parameters=costs.count_parameters(config),
        multiply_adds=costs.count_multiply_adds(config),
    )


def resolve(name: str, *, image_size, **fields):
    """Returns the configuration of a model.

    Args:
        name: name of the model; see `create_model`.
        image_size: pixels; one integer, or (height, width).
        **fields: values that replace those of the name.

    Raises:
        ValueError: the name is unknown, a dimension is missing, or a value is not possible.
        TypeError: a field is unknown, or a value has the wrong type.
    """
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
            f"the model {name!r} requires every dimension; got no {', '.join(missing)}. "
            f"Add them, or use a name such as {family.names[1]!r}."
        )
    return family.config_class(image_size=image_size, **fields)


def family_of(name: str) -> Family:
    """Returns MIXER, VIT or BIT."""
    return find(name)[0]


def canonical_name(name: str) -> str:
    """Returns "mixer_s8" for any spelling of it, such as "S/8" or "Mixer-S_8"."""
    return find(name)[1]


def find(name: str) -> tuple[Family, str, dict[str, object]]:
    """Returns the family of a model, its canonical name and the dimensions that it determines.

    Raises:
        ValueError: the name is unknown.
    """
    for family in FAMILIES.values():
        if parsed := family.parse(name):
            return family, *parsed
    names = [name for family in FAMILIES.values() for name in family.names]
    raise ValueError(
        f"unknown model {name!r}.{did_you_mean(name.lower(), names)} "
        f"Models: {'; '.join(', '.join(family.names) for family in FAMILIES.values())}; "
        "the sizes s, b, l and h can have any patch size (mixer_s8), and "
        f"{mixer_config.EXPLICIT!r} requires all dimensions as arguments."
    )
