# SPDX-License-Identifier: Apache-2.0
"""The names and shapes in ViT checkpoints, in all variants that their authors have used.

Published (gs://vit_models: imagenet21k/, augreg/ …): `cls`, `embedding/kernel`,
`Transformer/posembed_input/pos_embedding`, `Transformer/encoderblock_0/LayerNorm_0/scale`,
`…/MultiHeadDotProductAttention_1/query/kernel` [D, heads, d], `…/out/kernel` [heads, d, D],
`…/LayerNorm_2/scale`, `…/MlpBlock_3/Dense_0/kernel`, `Transformer/encoder_norm/scale`,
`pre_logits/kernel` if there is such a layer, `head/kernel`.
"""

from __future__ import annotations

import functools
import math
import re

import numpy as np

from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape, Source, rearrange
from mixer_tf.checkpoints.position_embeddings import fit_position_embeddings
from mixer_tf.models.vit import VisionTransformer
from mixer_tf.models.vit_config import SIZES

HEAD = ("head/kernel", "head/bias")
REPEATED = re.compile(r"encoderblock_(\d+)")  # error messages join entries that differ in it only

_POSITION_EMBEDDINGS = "Transformer/posembed_input/pos_embedding"
_TRANSFORMER_PREFIXES = ("encoderblock_", "encoder_norm/", "posembed_input/")
_ATTENTION = re.compile(r".*/MultiHeadDotProductAttention_1/(query|key|value|out)/(kernel|bias)")
_BLOCK = "Transformer/encoderblock_0"

# Other names → the published one. Current Flax numbers the modules of each class separately;
# big_vision has moved the position embeddings twice; and `open_checkpoint` renames `embedding`,
# which is also the stem of an old Mixer.
_OTHER_NAMES = {
    r"stem/(kernel|bias)": r"embedding/\1",
    r"(?:Transformer/)?pos_embedding": _POSITION_EMBEDDINGS,
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
    return f"Transformer/{name}" if name.startswith(_TRANSFORMER_PREFIXES) else name


def published_shape(name: str, shape: Shape, model: VisionTransformer) -> Shape:
    """Returns the published shape of a weight, given its published name and shape in our model."""
    match = _ATTENTION.fullmatch(name)
    if not match or match.groups() == ("out", "bias"):
        return shape
    config = model.config
    heads = (config.num_heads, config.hidden_dim // config.num_heads)
    return (*heads, shape[1]) if match[1] == "out" else (*shape[:-1], *heads)


def to_published(arrays: LazyArrays, model: VisionTransformer) -> LazyArrays:
    """Returns a checkpoint under the published names and in the published shapes.

    Position embeddings are resized for `model`. Names that do not belong to a ViT are not changed.
    """
    has_token = model.config.classifier == "token"
    fit = functools.partial(
        fit_position_embeddings, grid=model.config.grid, has_class_token=has_token
    )

    def source(name: str, original: str) -> Source:
        if name == _POSITION_EMBEDDINGS and len(arrays.shapes[original]) == 3:
            return Source(original, fit)
        return Source(original, functools.partial(_split_heads, name, model=model))

    names = {_normalize_name(name): name for name in arrays.shapes}
    return rearrange(arrays, {name: source(name, original) for name, original in names.items()})


def _split_heads(name: str, array: np.ndarray, model: VisionTransformer) -> np.ndarray:
    """In our own exports attention kernels are [D, D], and attention biases [D]."""
    match = _ATTENTION.fullmatch(name)
    if not match or array.ndim != (2 if match[2] == "kernel" else 1):
        return array
    shape = published_shape(name, array.shape, model)
    return array.reshape(shape) if math.prod(shape) == array.size else array


def belongs_to_head(name: str, model: VisionTransformer) -> bool:
    """Whether a weight is dropped together with the classification head.

    As in the authors' code, `pre_logits` is dropped too, unless the model has such a layer.
    """
    return name in HEAD or (name.startswith("pre_logits/") and not model.config.representation_size)


def hint(found: dict[str, Shape], expected: dict[str, Shape], model: VisionTransformer) -> str:
    """Returns what to do about a checkpoint with these shapes, which does not fit the model."""
    if f"{_BLOCK}/LayerNorm_0/scale" not in found:
        return "This is not a ViT checkpoint."
    text = f"The checkpoint is for {_describe(found)}."
    if "pre_logits/kernel" in found and not model.config.representation_size:
        width = found["pre_logits/kernel"][-1]
        text += f' For its pre_logits layer give representation_size={width}, or use head="new".'
    return text


def _normalize_name(name: str) -> str:
    for pattern, new_name in _OTHER_NAMES.items():
        if match := re.fullmatch(pattern, name):
            return match.expand(new_name)
    return published_name(name)


def _describe(shapes: dict[str, Shape]) -> str:
    """Returns the dimensions of a checkpoint, and its name if the size is a known one."""

    def axis(name: str, axis: int) -> int | None:
        shape = shapes.get(name, ())
        return shape[axis] if axis < len(shape) else None

    patch_size = axis("embedding/kernel", 0)
    dimensions = {
        "num_blocks": len({match[1] for match in map(REPEATED.search, shapes) if match}),
        "hidden_dim": axis("embedding/kernel", 3),
        "channels_mlp_dim": axis(f"{_BLOCK}/MlpBlock_3/Dense_0/kernel", 1),
    }
    names = [
        f"vit_{size}{patch_size}"
        for size, known in SIZES.items()
        if dimensions.items() <= known.items()
    ]
    dimensions["num_heads"] = axis(f"{_BLOCK}/MultiHeadDotProductAttention_1/query/kernel", 1)
    dimensions["classifier"] = repr("token" if "cls" in shapes else "gap")
    text = ", ".join(f"{field}={value}" for field, value in dimensions.items())
    return f"{names[0] if names else 'a ViT'}: patch_size={patch_size}, {text}"
