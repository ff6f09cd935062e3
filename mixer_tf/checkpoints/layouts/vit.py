# SPDX-License-Identifier: Apache-2.0
"""The names and layouts of ViT checkpoints, as their authors have published and changed them.

Published (gs://vit_models: imagenet21k/, augreg/ …): `cls`, `embedding/kernel`,
`Transformer/posembed_input/pos_embedding`, `Transformer/encoderblock_0/LayerNorm_0/scale`,
`…/MultiHeadDotProductAttention_1/query/kernel` [D, heads, d], `…/out/kernel` [heads, d, D],
`…/LayerNorm_2/scale`, `…/MlpBlock_3/Dense_0/kernel`, `Transformer/encoder_norm/scale`,
`pre_logits/kernel` where there is such a layer, `head/kernel`.
"""

from __future__ import annotations

import functools
import math
import re

import numpy as np

from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape, Source, rearrange
from mixer_tf.checkpoints.position_embeddings import fit_positions
from mixer_tf.models.vit import VisionTransformer
from mixer_tf.models.vit_config import SIZES

HEAD = ("head/kernel", "head/bias")
REPEATED = re.compile(r"encoderblock_(\d+)")  # what error messages count through

_POSITIONS = "Transformer/posembed_input/pos_embedding"
_IN_TRANSFORMER = ("encoderblock_", "encoder_norm/", "posembed_input/")
_ATTENTION = re.compile(r".*/MultiHeadDotProductAttention_1/(query|key|value|out)/(kernel|bias)")
_BLOCK = "Transformer/encoderblock_0"

# Other spellings → the published one. Today's Flax counts each kind of module apart; big_vision
# has moved the positions twice; and `open_checkpoint` knows an old Mixer by its `embedding`.
_SPELLINGS = {
    r"stem/(kernel|bias)": r"embedding/\1",
    r"(?:Transformer/)?pos_embedding": _POSITIONS,
    r"(Transformer/encoderblock_\d+)/LayerNorm_1/(.*)": r"\1/LayerNorm_2/\2",
    r"(Transformer/encoderblock_\d+)/MlpBlock_0/(.*)": r"\1/MlpBlock_3/\2",
    r"(Transformer/encoderblock_\d+)/MultiHeadDotProductAttention_0/(.*)": (
        r"\1/MultiHeadDotProductAttention_1/\2"
    ),
}


def published_name(name: str) -> str:
    """Returns the published name of a weight, given its name in our model."""
    if name == "class_token/cls":
        return "cls"
    return f"Transformer/{name}" if name.startswith(_IN_TRANSFORMER) else name


def published_shape(name: str, shape: Shape, model: VisionTransformer) -> Shape:
    """Returns the shape under which a weight is published, given its shape in our model."""
    match = _ATTENTION.fullmatch(name)
    if not match or match.groups() == ("out", "bias"):
        return shape
    config = model.config
    heads = (config.num_heads, config.hidden_dim // config.num_heads)
    return (*heads, shape[1]) if match[1] == "out" else (*shape[:-1], *heads)


def to_published(stored: LazyArrays, model: VisionTransformer) -> LazyArrays:
    """Returns a checkpoint in the published names and layouts, its positions for `model`.

    Names that are no ViT's stay as they are.
    """
    has_token = model.config.classifier == "token"
    fit = functools.partial(fit_positions, grid=model.config.grid, has_class_token=has_token)
    split = functools.partial(_split_heads, model=model)

    def source(name: str, full: str) -> Source:
        if name == _POSITIONS and len(stored.shapes[full]) == 3:
            return Source(full, fit)
        return Source(full, functools.partial(split, name))

    names = {_spell(full): full for full in stored.shapes}
    return rearrange(stored, {name: source(name, full) for name, full in names.items()})


def _split_heads(name: str, array: np.ndarray, model: VisionTransformer) -> np.ndarray:
    """Our own exports hold the kernels of attention as [D, D], its biases as [D]."""
    match = _ATTENTION.fullmatch(name)
    if not match or array.ndim != (2 if match[2] == "kernel" else 1):
        return array
    shape = published_shape(name, array.shape, model)
    return array.reshape(shape) if math.prod(shape) == array.size else array


def belongs_to_head(name: str, model: VisionTransformer) -> bool:
    """Whether a weight goes where the head goes.

    As in the authors' code, a checkpoint's `pre_logits` goes too, unless the model has such a
    layer.
    """
    return name in HEAD or (name.startswith("pre_logits/") and not model.config.representation_size)


def hint(found: dict[str, Shape], expected: dict[str, Shape], model: VisionTransformer) -> str:
    """Returns what to do about a checkpoint of these shapes that does not fit."""
    if f"{_BLOCK}/LayerNorm_0/scale" not in found:
        return "It is not the checkpoint of a ViT."
    text = f"The checkpoint is of {_describe(found)}."
    if "pre_logits/kernel" in found and not model.config.representation_size:
        width = found["pre_logits/kernel"][-1]
        text += f' For its pre_logits give representation_size={width}, or use head="new".'
    return text


def _spell(name: str) -> str:
    for other, published in _SPELLINGS.items():
        if match := re.fullmatch(other, name):
            return match.expand(published)
    return published_name(name)


def _describe(found: dict[str, Shape]) -> str:
    def axis(name: str, axis: int):
        shape = found.get(name, ())
        return shape[axis] if axis < len(shape) else None

    patch = axis("embedding/kernel", 0)
    dimensions = {
        "num_blocks": len({match[1] for match in map(REPEATED.search, found) if match}),
        "hidden_dim": axis("embedding/kernel", 3),
        "channels_mlp_dim": axis(f"{_BLOCK}/MlpBlock_3/Dense_0/kernel", 1),
    }
    names = [
        f"vit_{size}{patch}" for size, known in SIZES.items() if dimensions.items() <= known.items()
    ]
    dimensions["num_heads"] = axis(f"{_BLOCK}/MultiHeadDotProductAttention_1/query/kernel", 1)
    dimensions["classifier"] = repr("token" if "cls" in found else "gap")
    text = ", ".join(f"{field}={value}" for field, value in dimensions.items())
    return f"{names[0] if names else 'a ViT'}: patch_size={patch}, {text}"
