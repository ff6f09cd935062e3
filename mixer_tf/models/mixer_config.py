# SPDX-License-Identifier: Apache-2.0
"""MixerConfig: all hyperparameters of a Mixer; and the names of the models. No TensorFlow."""

from __future__ import annotations

import dataclasses
import re

from mixer_tf.models.patch_config import PatchConfig
from mixer_tf.models.validation import (
    check_integer,
    check_patches,
    check_rate,
    height_and_width,
    nearest_divisors,
)

# Paper, Table 1.
SIZES = {
    "s": dict(num_blocks=8, hidden_dim=512, tokens_mlp_dim=256, channels_mlp_dim=2048),
    "b": dict(num_blocks=12, hidden_dim=768, tokens_mlp_dim=384, channels_mlp_dim=3072),
    "l": dict(num_blocks=24, hidden_dim=1024, tokens_mlp_dim=512, channels_mlp_dim=4096),
    "h": dict(num_blocks=32, hidden_dim=1280, tokens_mlp_dim=640, channels_mlp_dim=5120),
}
NAMES = (
    "mixer_s32",
    "mixer_s16",
    "mixer_b32",
    "mixer_b16",
    "mixer_l32",
    "mixer_l16",
    "mixer_h14",
)
EXPLICIT = "mixer"  # the name of a model whose dimensions are all given as arguments
# The fields that a name determines. Without a name, all of them are required.
DIMENSIONS = ("patch_size", "num_blocks", "hidden_dim", "tokens_mlp_dim", "channels_mlp_dim")
ABLATIONS = ("untied", "channel_groups", "channel_views", "pyramid")  # of supplement A.1

_SIZE_AND_PATCH = re.compile(r"(?:mixer[_-]?)?([sblh])[_/-]?([1-9]\d{0,5})", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class MixerConfig(PatchConfig):
    """The dimensions and regularization of a Mixer (paper, Section 2, Table 1, supplement B).

    Attributes:
        image_size: (height, width) in pixels; one integer for a square.
        patch_size: P, the side of a square patch in pixels; it divides both sides of the image.
        num_blocks: L, the number of Mixer blocks.
        hidden_dim: C, the number of channels of a token.
        tokens_mlp_dim: D_S, the hidden width of the MLP across tokens.
        channels_mlp_dim: D_C, the hidden width of the MLP across channels.
        num_classes: number of outputs of the head; 0 for the pooled features, without a head.
        dropout: dropout rate in [0, 1) after both Dense layers of every MLP.
        stochastic_depth: s in [0, 1); block i of 0 … L-1 is dropped with probability i/(L-1)·s.
        stochastic_depth_rescaled: divide a kept branch by its probability of being kept, as timm
            does; the authors' code does not.
        head_bias_init: initial value of all biases of the head, such as -6.9 for a sigmoid loss
            over 1000 classes.
        exact_gelu: compute GELU exactly, as timm does; the authors use its tanh approximation.
        untied: a separate token-mixing MLP for every channel (this and the next three are the
            ablations of supplement A.1).
        channel_groups: G, a divisor of hidden_dim; the token-mixing MLP mixes the tokens of G
            neighboring channels together.
        channel_views: group G learned linear views of each token instead of neighboring channels.
        pyramid: number of output tokens of each block, never increasing; () keeps all tokens.
    """

    image_size: int | tuple[int, int]
    patch_size: int
    num_blocks: int
    hidden_dim: int
    tokens_mlp_dim: int
    channels_mlp_dim: int
    num_classes: int = 1000
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    stochastic_depth_rescaled: bool = False
    head_bias_init: float = 0.0
    exact_gelu: bool = False
    untied: bool = False
    channel_groups: int = 1
    channel_views: bool = False
    pyramid: tuple[int, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "image_size", height_and_width(self.image_size))
        for field in DIMENSIONS:
            check_integer(field, getattr(self, field), at_least=1)
        check_integer("num_classes", self.num_classes, at_least=0)
        for field in ("dropout", "stochastic_depth"):
            check_rate(field, getattr(self, field))
        check_patches(self.patch_size, self.image_size)
        _check_groups(self)
        object.__setattr__(self, "pyramid", tuple(self.pyramid))
        _check_pyramid(self)

    @property
    def num_tokens(self) -> int:
        """S, the number of patches of an image."""
        return self.num_patches

    @property
    def ablations(self) -> list[str]:
        """The names of the fields that differ from the paper's own token mixing."""
        return [name for name in ABLATIONS if getattr(self, name) != getattr(MixerConfig, name)]

    def tokens(self, block: int) -> tuple[int, int]:
        """Returns the number of input tokens and of output tokens of a block, counted from 0."""
        counts = (self.num_tokens, *(self.pyramid or (self.num_tokens,) * self.num_blocks))
        return counts[block], counts[block + 1]

    def ablation(self, block: int) -> dict[str, object]:
        """Returns the options of `TokenMixing` for a block; {} for a block as in the paper."""
        before, after = self.tokens(block)
        options = dict(
            groups=self.channel_groups if self.channel_groups > 1 else None,
            views=self.channel_views,
            untied=self.untied,
            tokens_out=after if after != before else None,
        )
        return {name: value for name, value in options.items() if value}


def parse(name: str) -> tuple[str, dict[str, object]] | None:
    """Returns the canonical name and the dimensions of "mixer_b16" in any spelling ("B/16").

    None if it is not the name of a Mixer. Every size can have any patch size.
    """
    if name == EXPLICIT:
        return name, {}
    match = _SIZE_AND_PATCH.fullmatch(name)
    if not match:
        return None
    size, patch = match[1].lower(), int(match[2])
    return f"mixer_{size}{patch}", {"patch_size": patch, **SIZES[size]}


def _check_groups(config: MixerConfig) -> None:
    groups, channels = config.channel_groups, config.hidden_dim
    check_integer("channel_groups", groups, at_least=1)
    if channels % groups:
        raise ValueError(
            f"channel_groups must divide hidden_dim; got channel_groups={groups}, "
            f"hidden_dim={channels}. Use {nearest_divisors(channels, groups)}."
        )
    if config.channel_views and groups == 1:
        raise ValueError("channel_views requires groups; got channel_groups=1. Use 2 or more.")


def _check_pyramid(config: MixerConfig) -> None:
    pyramid, tokens, blocks = config.pyramid, config.num_tokens, config.num_blocks
    for count in pyramid:
        check_integer("pyramid", count, at_least=1)
    if pyramid and (len(pyramid) != blocks or list(pyramid) != sorted(pyramid, reverse=True)):
        raise ValueError(
            "pyramid must have one number of tokens for each block and must not increase; "
            f"got pyramid={pyramid}, num_blocks={blocks}."
        )
    if pyramid and pyramid[0] > tokens:
        raise ValueError(
            f"pyramid must not start with more tokens than there are patches; got {pyramid[0]} "
            f"tokens, {tokens} patches."
        )
