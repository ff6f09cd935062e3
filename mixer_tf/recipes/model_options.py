# SPDX-License-Identifier: Apache-2.0
"""ModelOptions: the model of a recipe, checked against its family's config. No TensorFlow."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping

from mixer_tf.messages import did_you_mean
from mixer_tf.models import costs, registry
from mixer_tf.models.validation import MAX_SIDE, shown
from mixer_tf.recipes.options import Options, attribute_docs, check_types

# Fields of every config that are not a free choice: ModelOptions has its own image_size, and the
# dataset decides the number of classes.
_NOT_SETTABLE = ("image_size", "num_classes")

_DEFAULT_NAME = "mixer_s16"
_MIN_IMAGE_SIZE = 4
_MAX_PARAMETERS = 10**11  # 400 GB of float32 weights.


@dataclasses.dataclass(frozen=True, init=False)
class ModelOptions(Options):
    """The model: its name, and the fields of its family that differ from what the name stands for.

    ```
    ModelOptions(name="mixer_b16", image_size=384, stochastic_depth=0.1)
    ModelOptions(name="vit_s16", num_heads=3, classifier="gap")
    ```

    Every field of `MixerConfig`, `ViTConfig` or `BiTConfig` can be given except num_classes, which
    the dataset decides. The config checks them when the options are made, before any image is
    read, so that a new field of a config is a new field of every recipe.

    Attributes:
        name: a model of any family, such as "mixer_s16", "mixer_b8", "vit_b16" or "bit_r50x1". A
            new name brings its own dimensions (patch_size, num_blocks, hidden_dim, ...), unless
            they are set with it. All other fields keep their values; it is an error if one that
            is not at its default does not exist in the new family.
        image_size: side of the square input, in pixels.
        weights: initial weights: the path of a checkpoint, or the name of a published one such as
            "imagenet21k"; none for random ones. The head is new; for a larger image_size the
            weights are upscaled.
        keep_head: also load the head of the weights if it has the same number of classes.
        interpolate: if image_size is not an integer multiple of that of the weights, resize these
            as images (not in the paper).
        fields: {field of the config: value} where the value is not the one that `name` stands for;
            read-only.

    Raises:
        ValueError: the name is unknown, or no such model is possible, such as one whose patch_size
            does not divide image_size.
        TypeError: a value has the wrong type, or the family does not have the field.
    """

    name: str
    image_size: int
    weights: str | None
    keep_head: bool
    interpolate: bool
    fields: dict[str, object] = dataclasses.field(hash=False)

    def __init__(
        self,
        name: str = _DEFAULT_NAME,
        image_size: int = registry.IMAGE_SIZE,
        *,
        weights: str | None = None,
        keep_head: bool = False,
        interpolate: bool = False,
        fields: Mapping[str, object] | None = None,
        **more_fields,
    ):
        own = {"name": name, "image_size": image_size, "weights": weights}
        own |= {"keep_head": keep_head, "interpolate": interpolate}
        for field, value in check_types(own, _own_types()).items():
            object.__setattr__(self, field, value)
        object.__setattr__(self, "fields", self._different({**(fields or {}), **more_fields}))
        self._check_rules()
        self._check_number_of_parameters()

    @property
    def family(self) -> registry.Family:
        """The family of the model."""
        return registry.family_of(self.name)

    def config(self, num_classes: int):
        """Returns the MixerConfig, ViTConfig or BiTConfig with every field of the model."""
        sizes = {"image_size": self.image_size, "num_classes": num_classes}
        return registry.resolve(self.name, **sizes, **self.fields)

    def replace(self, **changes) -> ModelOptions:
        """Returns a copy with other values; for a new name, see the attribute `name`.

        Raises:
            ValueError, TypeError: see the class.
        """
        fields = self.fields
        name = changes.get("name", self.name)
        if registry.canonical_name(name) != registry.canonical_name(self.name):
            fields = {k: v for k, v in fields.items() if k not in self.family.dimensions}
            self._require_known(fields, name)
        own = {field: getattr(self, field) for field in _own_types()}
        return ModelOptions(**{**own, **fields, **changes})

    @classmethod
    def field_types(cls, values: Mapping[str, object]) -> dict[str, typing.Any]:
        family = _family_in(values)
        hints = typing.get_type_hints(family.config_class)
        types = {field: hints[field] for field in _settable(family)}
        # None means the dimension that the name stands for.
        types |= {field: types[field] | None for field in family.dimensions}
        own = _own_types()
        return {"name": own.pop("name"), "image_size": own.pop("image_size")} | types | own

    @classmethod
    def owner(cls, values: Mapping[str, object]) -> str:
        return f"{_family_in(values).noun} models"

    def field_docs(self) -> dict[str, str]:
        return attribute_docs(self.family.config_class) | attribute_docs(type(self))

    def to_dict(self) -> dict[str, object]:
        """Returns every option and every field of the family, as JSON takes it."""
        own = {field: getattr(self, field) for field in _own_types()}
        values = {**self._defaults(), **self.fields, **own}
        return {field: values.get(field) for field in self.field_types(own)}

    def _rules(self):
        is_sensible = _MIN_IMAGE_SIZE <= self.image_size <= MAX_SIDE
        yield "image_size", is_sensible, f"from {_MIN_IMAGE_SIZE} to {MAX_SIDE:,}"

    def _check_number_of_parameters(self) -> None:
        config = self.config(num_classes=1)  # raises the errors of the config's own rules
        parameters = costs.count_parameters(config)
        if parameters > _MAX_PARAMETERS:
            dimensions = {name: getattr(config, name) for name in self.family.dimensions}
            given = ", ".join(f"{name}={shown(value)}" for name, value in dimensions.items())
            raise ValueError(
                f"a model must have at most {_MAX_PARAMETERS:,} parameters; {given} give "
                f"{parameters:,}. Choose smaller dimensions."
            )

    def _defaults(self) -> dict[str, object]:
        """Returns the values of fields that are not given: of the name, or of the config."""
        _, _, dimensions = registry.find(self.name)
        fields = dataclasses.fields(self.family.config_class)
        defaults = {field.name: field.default for field in fields}
        return {k: v for k, v in defaults.items() if v is not dataclasses.MISSING} | dimensions

    def _different(self, given: Mapping[str, object]) -> dict[str, object]:
        """Returns the given fields whose values are not what the name stands for anyway."""
        unknown = [field for field in given if field not in _settable(self.family)]
        if unknown:
            raise TypeError(_not_a_field(unknown[0], self.family))
        given = check_types(given, self.field_types({"name": self.name}))
        unset = [field for field in self.family.dimensions if given.get(field) is None]
        defaults = self._defaults()
        return {k: v for k, v in given.items() if k not in unset and v != defaults.get(k)}

    def _require_known(self, fields: Mapping[str, object], name: str) -> None:
        family = registry.family_of(name)
        foreign = {k: v for k, v in fields.items() if k not in _settable(family)}
        if foreign:
            given = ", ".join(f"{field}={value!r}" for field, value in foreign.items())
            raise ValueError(
                f"name must be that of a model with the fields that were set; got {name!r}, and "
                f"{family.noun} models have no {given}. Set it back to its default first."
            )


def _family_in(values: Mapping[str, object]) -> registry.Family:
    return registry.family_of(values.get("name", _DEFAULT_NAME))


def _own_types() -> dict[str, typing.Any]:
    hints = typing.get_type_hints(ModelOptions)
    return {field: hint for field, hint in hints.items() if field != "fields"}


def _settable(family: registry.Family) -> list[str]:
    """Returns the fields of a family's config that a recipe can set."""
    return [field for field in family.fields if field not in _NOT_SETTABLE]


def _not_a_field(name: str, family: registry.Family) -> str:
    known = _settable(family)
    return (
        f"the fields of a model must be those of its family; got {name!r}, which {family.noun} "
        f"models do not have.{did_you_mean(name, known)} Fields: {', '.join(known)}."
    )
