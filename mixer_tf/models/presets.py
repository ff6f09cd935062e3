# SPDX-License-Identifier: Apache-2.0
"""The models by name: what "mixer_b16" means, and what it costs. Imports no TensorFlow."""

from __future__ import annotations

import dataclasses
import difflib
import re
from typing import TYPE_CHECKING

from mixer_tf.models import costs
from mixer_tf.models.config import DIMENSIONS, MixerConfig
from mixer_tf.models.families import BIT, VIT, Family

if TYPE_CHECKING:
    from mixer_tf.models.configured import ConfiguredModel

# Paper, Table 1.
SIZES = {
    "s": dict(num_blocks=8, hidden_dim=512, tokens_mlp_dim=256, channels_mlp_dim=2048),
    "b": dict(num_blocks=12, hidden_dim=768, tokens_mlp_dim=384, channels_mlp_dim=3072),
    "l": dict(num_blocks=24, hidden_dim=1024, tokens_mlp_dim=512, channels_mlp_dim=4096),
    "h": dict(num_blocks=32, hidden_dim=1280, tokens_mlp_dim=640, channels_mlp_dim=5120),
}
PAPER_MODELS = (
    "mixer_s32",
    "mixer_s16",
    "mixer_b32",
    "mixer_b16",
    "mixer_l32",
    "mixer_l16",
    "mixer_h14",
)
IMAGE_SIZE, NUM_CLASSES = 224, 1000  # where nothing else is asked for: ImageNet's
EXPLICIT = "mixer"  # the name of a model whose dimensions are all given by hand

_SIZE_AND_PATCH = re.compile(r"(?:mixer[_-]?)?([sblh])[_/-]?([1-9]\d*)", re.IGNORECASE)


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
    families = {"mixer": MIXER, "vit": VIT, "bit": BIT}
    if family not in families:
        raise ValueError(f"family must be one of {', '.join(families)}; got {family!r}.")
    return list(families[family].names)


def create_model(
    name: str,
    *,
    image_size=None,
    num_classes: int | None = None,
    weights=None,
    interpolate: bool = False,
    head: str | None = None,
    dtype=None,
    **overrides,
) -> ConfiguredModel:
    """Builds a model: pixel values 0 to 255 in, logits out.

    ```
    model = create_model("mixer_s16", num_classes=10, stochastic_depth=0.1)
    small = create_model("mixer_s4", image_size=32, num_blocks=4, hidden_dim=128)
    reference = create_model("vit_b16", image_size=384, dropout=0.1)
    tuned = create_model("mixer_b16", weights="imagenet21k", image_size=448, num_classes=10)
    ```

    Args:
        name: a size of the paper (s, b, l, h) with any patch size: "mixer_b16", "mixer_s8", "S/8";
            or "mixer" with every dimension in `overrides`. In the same way "vit_b16" (sizes ti to
            h) or "vit", and "bit_r50x1" (50, 101, 152 or 200 layers, any width) or "bit".
        image_size: pixels; one number, or (height, width). None for that of a Mixer's `weights`,
            or 224. For larger images, `weights` are upscaled (`mixer_tf.upscale`).
        num_classes: outputs of the head; 0 for the pooled features. None for as many as the
            `weights` have, or 1000; another number than theirs gives a new head.
        weights: None for new ones; the path of a checkpoint (see `mixer_tf.load_weights`); or the
            name of a published one ("imagenet21k"), which is downloaded where it is not there.
        interpolate: where `image_size` is no whole multiple of a Mixer's `weights`', resize these
            as pictures, which is not in the paper.
        head: "new" for a new one, although that of the `weights` would fit.
        dtype: a Keras dtype policy or its name, such as "mixed_bfloat16"; None for the global one.
        **overrides: fields of `MixerConfig`, `ViTConfig` or `BiTConfig` that replace those of the
            name.

    Raises:
        ValueError: the name is unknown, or a value is not possible.
        TypeError: `overrides` names no field of the configuration.
    """
    if weights is not None:
        from mixer_tf.checkpoints.pretrained import create_pretrained

        sizes = {"image_size": image_size, "num_classes": num_classes}
        choices = {"interpolate": interpolate, "head": head, "dtype": dtype}
        return create_pretrained(name, weights, **sizes, **choices, **overrides)
    image_size = IMAGE_SIZE if image_size is None else image_size
    num_classes = NUM_CLASSES if num_classes is None else num_classes
    config = resolve(name, image_size=image_size, num_classes=num_classes, **overrides)
    family, canonical, _ = _find(name)
    return family.model_class()(name=canonical, dtype=dtype, **dataclasses.asdict(config))


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
    family, _, dimensions = _find(name)
    for field in fields:
        if field not in family.fields:
            raise TypeError(
                f"a {family.noun} has no field {field!r}.{_did_you_mean(field, family.fields)} "
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
    return _find(name)[0]


def canonical_name(name: str) -> str:
    """Returns "mixer_s8" for any spelling of it, such as "S/8" or "Mixer-S_8"."""
    return _find(name)[1]


def _parse(name: str) -> tuple[str, dict[str, object]] | None:
    """Returns the canonical name of a Mixer and the dimensions that it stands for, or None."""
    if name == EXPLICIT:
        return name, {}
    match = _SIZE_AND_PATCH.fullmatch(name)
    if not match:
        return None
    size, patch = match[1].lower(), int(match[2])
    return f"mixer_{size}{patch}", {"patch_size": patch, **SIZES[size]}


MIXER = Family(
    noun="Mixer",
    names=PAPER_MODELS,
    parse=_parse,
    config_class=MixerConfig,
    dimensions=DIMENSIONS,
    model="mixer_tf.models.mlp_mixer:MlpMixer",
)
_FAMILIES = (MIXER, VIT, BIT)


def _find(name: str) -> tuple[Family, str, dict[str, object]]:
    """Returns the family of a model, its canonical name and the dimensions of that name."""
    for family in _FAMILIES:
        if parsed := family.parse(name):
            return family, *parsed
    names = [name for family in _FAMILIES for name in family.names]
    raise ValueError(
        f"unknown model {name!r}.{_did_you_mean(name.lower(), names)} "
        f"Models: {'; '.join(', '.join(family.names) for family in _FAMILIES)}; "
        f"the sizes s, b, l and h take any patch size (mixer_s8), and {EXPLICIT!r} takes all its "
        "dimensions as arguments."
    )


def _did_you_mean(given: str, known) -> str:
    nearest = difflib.get_close_matches(given, known)
    return f" Did you mean {' or '.join(nearest)}?" if nearest else ""
