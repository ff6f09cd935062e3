# SPDX-License-Identifier: Apache-2.0
"""The paper's models by name: what "mixer_b16" means, and what it costs. Imports no TensorFlow."""

from __future__ import annotations

import dataclasses
import difflib
import re
from typing import TYPE_CHECKING

from mixer_tf.models.config import DIMENSIONS, MixerConfig
from mixer_tf.models.costs import count_multiply_adds, count_parameters

if TYPE_CHECKING:
    from mixer_tf.models.mlp_mixer import MlpMixer

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
EXPLICIT = "mixer"  # the name of a model whose dimensions are all given by hand

_SIZE_AND_PATCH = re.compile(r"(?:mixer[_-]?)?([sblh])[_/-]?([1-9]\d*)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Description:
    """One row of the table of models.

    Attributes:
        name: such as "mixer_b16".
        config: every dimension of the model.
        parameters: number of trainable weights.
        multiply_adds: for one image.
    """

    name: str
    config: MixerConfig
    parameters: int
    multiply_adds: int


def list_models() -> list[str]:
    """Returns the names of the paper's seven models, from small to large."""
    return list(PAPER_MODELS)


def create_model(
    name: str, *, image_size=224, num_classes: int = 1000, dtype=None, **overrides
) -> MlpMixer:
    """Builds a Mixer with new weights: pixel values 0 to 255 in, logits out.

    ```
    model = create_model("mixer_s16", num_classes=10, stochastic_depth=0.1)
    small = create_model("mixer_s4", image_size=32, num_blocks=4, hidden_dim=128)
    ```

    Args:
        name: a size of the paper (s, b, l, h) with any patch size: "mixer_b16", "mixer_s8", "S/8";
            or "mixer" with every dimension in `overrides`.
        image_size: pixels; one number, or (height, width).
        num_classes: outputs of the head; 0 for the pooled features.
        dtype: a Keras dtype policy or its name, such as "mixed_bfloat16"; None for the global one.
        **overrides: fields of `MixerConfig` that replace those of the name.

    Raises:
        ValueError: the name is unknown, or a value is not possible.
        TypeError: `overrides` names no field of `MixerConfig`.
    """
    config = resolve(name, image_size=image_size, num_classes=num_classes, **overrides)
    from mixer_tf.models.mlp_mixer import MlpMixer

    return MlpMixer(name=canonical_name(name), dtype=dtype, **dataclasses.asdict(config))


def describe(name: str, image_size=224, num_classes: int = 1000, **overrides) -> Description:
    """Returns what a model of that name costs; arguments and errors as in `create_model`."""
    config = resolve(name, image_size=image_size, num_classes=num_classes, **overrides)
    return Description(
        name=canonical_name(name),
        config=config,
        parameters=count_parameters(config),
        multiply_adds=count_multiply_adds(config),
    )


def resolve(name: str, *, image_size, **fields) -> MixerConfig:
    """Returns the configuration of that name, with `fields` over it; see `create_model`."""
    known = [field.name for field in dataclasses.fields(MixerConfig)]
    for field in fields:
        if field not in known:
            raise TypeError(
                f"a Mixer has no field {field!r}.{_did_you_mean(field, known)} "
                f"Fields: {', '.join(known)}."
            )
    fields = {**_dimensions(name), **fields}
    missing = [field for field in DIMENSIONS if field not in fields]
    if missing:
        raise ValueError(
            f"the model {name!r} needs every dimension; got no {', '.join(missing)}. "
            "Give them, or use a name such as 'mixer_s16'."
        )
    return MixerConfig(image_size=image_size, **fields)


def canonical_name(name: str) -> str:
    """Returns "mixer_s8" for any spelling of it, such as "S/8" or "Mixer-S_8"."""
    if name == EXPLICIT:
        return name
    size, patch = _size_and_patch(name)
    return f"mixer_{size}{patch}"


def _dimensions(name: str) -> dict[str, int]:
    if name == EXPLICIT:
        return {}
    size, patch = _size_and_patch(name)
    return {"patch_size": patch, **SIZES[size]}


def _size_and_patch(name: str) -> tuple[str, int]:
    match = _SIZE_AND_PATCH.fullmatch(name)
    if not match:
        raise ValueError(
            f"unknown model {name!r}.{_did_you_mean(name.lower(), PAPER_MODELS)} "
            f"Models: {', '.join(PAPER_MODELS)}; the sizes s, b, l and h take any patch size "
            f"(mixer_s8), and {EXPLICIT!r} takes all its dimensions as arguments."
        )
    return match[1].lower(), int(match[2])


def _did_you_mean(given: str, known) -> str:
    nearest = difflib.get_close_matches(given, known)
    return f" Did you mean {' or '.join(nearest)}?" if nearest else ""
