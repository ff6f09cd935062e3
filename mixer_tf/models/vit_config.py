# SPDX-License-Identifier: Apache-2.0
"""ViTConfig: all hyperparameters of a ViT; and the names of the models. No TensorFlow.

ViT (Vision Transformer, arXiv:2010.11929) is a baseline of the Mixer paper (Tables 2, 3).
"""

from __future__ import annotations

import dataclasses
import re

from mixer_tf.models.patch_config import PatchConfig
from mixer_tf.models.validation import (
    check_integer,
    check_patches,
    check_rate,
    height_and_width,
)

# ViT paper, Table 1; Ti and S: arXiv:2106.10270, Table 2.
SIZES = {
    "ti": dict(num_blocks=12, hidden_dim=192, channels_mlp_dim=768),
    "s": dict(num_blocks=12, hidden_dim=384, channels_mlp_dim=1536),
    "b": dict(num_blocks=12, hidden_dim=768, channels_mlp_dim=3072),
    "l": dict(num_blocks=24, hidden_dim=1024, channels_mlp_dim=4096),
    "h": dict(num_blocks=32, hidden_dim=1280, channels_mlp_dim=5120, num_heads=16),
}
NAMES = ("vit_s32", "vit_s16", "vit_b32", "vit_b16", "vit_l32", "vit_l16", "vit_h14")
EXPLICIT = "vit"  # the name of a model whose dimensions are all given as arguments
DIMENSIONS = ("patch_size", "num_blocks", "hidden_dim", "channels_mlp_dim")

CLASSIFIERS = ("token", "gap")
_CHANNELS_PER_HEAD = 64  # for all sizes except H
_SIZE_AND_PATCH = re.compile(r"vit[_-](ti|s|b|l|h)[_/-]?([1-9]\d{0,5})", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class ViTConfig(PatchConfig):
    """The dimensions and regularization of a Vision Transformer.

    Fields that a Mixer also has are named as in `MixerConfig`.

    Attributes:
        image_size: (height, width) in pixels; one integer for a square.
        patch_size: P, the side of a square patch in pixels; it divides both sides of the image.
        num_blocks: the number of encoder blocks.
        hidden_dim: D, the number of channels of a token.
        channels_mlp_dim: the hidden width of a block's MLP.
        num_heads: number of attention heads, a divisor of hidden_dim; None for one per 64 channels.
        num_classes: number of outputs of the head; 0 for the pre-logits, without a head.
        classifier: "token" for a class token, "gap" for the mean over all tokens without a class
            token.
        representation_size: width of a Dense layer with tanh before the head, as in the
            ImageNet-21k checkpoints of the ViT paper; None for no such layer.
        dropout: dropout rate in [0, 1) after the position embedding, after attention, and after
            both Dense layers of every MLP.
        attention_dropout: dropout rate in [0, 1) on the attention weights.
        stochastic_depth: s in [0, 1); block i of 0 … L-1 is dropped with probability i/(L-1)·s.
        stochastic_depth_rescaled: divide a kept branch by its probability of being kept.
        head_bias_init: initial value of all biases of the head.
    """

    image_size: int | tuple[int, int]
    patch_size: int
    num_blocks: int
    hidden_dim: int
    channels_mlp_dim: int
    num_heads: int | None = None
    num_classes: int = 1000
    classifier: str = "token"
    representation_size: int | None = None
    dropout: float = 0.0
    attention_dropout: float = 0.0
    stochastic_depth: float = 0.0
    stochastic_depth_rescaled: bool = False
    head_bias_init: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "image_size", height_and_width(self.image_size))
        for field in DIMENSIONS:
            check_integer(field, getattr(self, field), at_least=1)
        check_integer("num_classes", self.num_classes, at_least=0)
        if self.representation_size is not None:
            check_integer("representation_size", self.representation_size, at_least=1)
        for field in ("dropout", "attention_dropout", "stochastic_depth"):
            check_rate(field, getattr(self, field))
        check_patches(self.patch_size, self.image_size)
        object.__setattr__(self, "num_heads", _checked_heads(self.num_heads, self.hidden_dim))
        if self.classifier not in CLASSIFIERS:
            raise ValueError(
                f"classifier must be one of {', '.join(CLASSIFIERS)}; got {self.classifier!r}."
            )

    @property
    def num_tokens(self) -> int:
        """S, the number of tokens of the encoder: the patches and the class token, if any."""
        return self.num_patches + (self.classifier == "token")


def parse(name: str) -> tuple[str, dict[str, int]] | None:
    """Returns the canonical name and the dimensions of "vit_b16" in any spelling ("ViT-B/16").

    None if it is not the name of a ViT. Every size can have any patch size.
    """
    if name == EXPLICIT:
        return name, {}
    match = _SIZE_AND_PATCH.fullmatch(name)
    if not match:
        return None
    size, patch = match[1].lower(), int(match[2])
    return f"vit_{size}{patch}", {"patch_size": patch, **SIZES[size]}


def _checked_heads(num_heads: int | None, hidden_dim: int) -> int:
    if num_heads is None:
        num_heads = max(hidden_dim // _CHANNELS_PER_HEAD, 1)
    check_integer("num_heads", num_heads, at_least=1)
    if hidden_dim % num_heads:
        divisors = [heads for heads in range(1, hidden_dim + 1) if hidden_dim % heads == 0]
        nearest = min(divisors, key=lambda heads: abs(heads - num_heads))
        raise ValueError(
            f"num_heads must divide hidden_dim; got num_heads={num_heads}, "
            f"hidden_dim={hidden_dim}. Use num_heads={nearest}."
        )
    return num_heads
