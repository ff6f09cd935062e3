# SPDX-License-Identifier: Apache-2.0
"""load_weights and save_npz: from a checkpoint into a model, and from a model into a checkpoint.

The checkpoints of each model family are described in `layouts/{mixer,vit,bit}.py`.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from types import ModuleType

import tensorflow as tf

from mixer_tf.checkpoints import model_weights
from mixer_tf.checkpoints.formats.npz import write_npz
from mixer_tf.checkpoints.layouts import bit, mixer, vit
from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape, without
from mixer_tf.checkpoints.matching import check_fit
from mixer_tf.checkpoints.opening import open_checkpoint
from mixer_tf.models.bit import BiTResNet
from mixer_tf.models.bit_config import BiTConfig
from mixer_tf.models.mixer_config import MixerConfig
from mixer_tf.models.vit import VisionTransformer
from mixer_tf.models.vit_config import ViTConfig
from mixer_tf.recipes.exported import recipe_of_weights

# Fields that decide what the weights of an exported model compute, but not their shapes: G groups
# of channels with S tokens have weights as large as one group with G·S tokens.
NOT_IN_SHAPES = {
    MixerConfig: ("untied", "channel_groups", "channel_views", "exact_gelu"),
    ViTConfig: ("num_heads",),
    BiTConfig: ("num_groups",),
}


def load_weights(
    model: tf.keras.Model, path: str | os.PathLike, *, head: str | None = None
) -> None:
    """Copies the weights of a checkpoint into `model`, all or none, one array at a time.

    Every array is read twice: the first time only to find out whether it can be read.

    ```
    model = create_model("mixer_b16", num_classes=10)
    load_weights(model, "imagenet21k/Mixer-B_16.npz", head="new")
    ```

    Any model of this package can be loaded, including those of `MixerB16(...)`. If the model has no
    head (num_classes=0), the checkpoint's head is ignored.

    If a Mixer has K times as many patches in both directions and a K² times as large
    `tokens_mlp_dim`, the weights are upscaled while loading (see `upscale`). The position
    embeddings of a ViT are resized if the model is for another image size.

    timm computes the exact GELU; the authors and this package use its tanh approximation. Create a
    Mixer for weights trained with timm with `exact_gelu=True`. Without it the logits differ from
    timm's by about 3e-4 of the largest logit.

    Args:
        model: the model whose weights are replaced; unchanged if there is an error.
        path: an .npz file from the authors, in any of their naming schemes, also inside a training
            state; for a Mixer also a .safetensors or .pth file from timm; or the folder of a model
            that mixer_tf exported, such as the output of `mixer train`.
        head: None if the checkpoint's head must fit; "new" to initialize the head again (zero
            kernel, the model's initial bias) and ignore the checkpoint's.

    Raises:
        FileNotFoundError: `path` does not exist.
        ValueError: the file is not a checkpoint, is corrupt, or does not fit; in the last case the
            message lists all missing, extra and misshapen weights.
    """
    with _fitting_arrays(model, path, head) as (variables, arrays):
        model_weights.check_readable(variables, arrays)
        model_weights.assign(variables, arrays)
    if head == "new":
        reinitialize_head(model)


def check_weights(
    model: tf.keras.Model, path: str | os.PathLike, *, head: str | None = None
) -> None:
    """Raises what `load_weights` would raise; the model keeps its weights.

    Args:
        model, path, head: see `load_weights`.
    """
    with _fitting_arrays(model, path, head) as (variables, arrays):
        model_weights.check_readable(variables, arrays)


@contextlib.contextmanager
def _fitting_arrays(
    model: tf.keras.Model, path: str | os.PathLike, head: str | None
) -> Iterator[tuple[dict[str, tf.Variable], LazyArrays]]:
    """Yields the variables to load and the open checkpoint, by published name, if they fit."""
    if head not in (None, "new"):
        raise ValueError(f'head must be None or "new"; got {head!r}.')
    layout = layout_of(model)
    _check_same_function(model, path)
    variables = _published_variables(model)
    ignores_head = head == "new" or layout.HEAD[0] not in variables
    if ignores_head:
        variables = {name: v for name, v in variables.items() if name not in layout.HEAD}
    shapes = _published_shapes(model, variables)
    with open_checkpoint(path) as arrays:
        arrays = layout.to_published(arrays, model)
        if ignores_head:
            names = [name for name in arrays.shapes if layout.belongs_to_head(name, model)]
            arrays = without(arrays, names)
        check_fit(
            shapes,
            arrays.shapes,
            f"the checkpoint {os.fspath(path)} must fit the model {model.name}; it does not.",
            head=layout.HEAD,
            repeated=layout.REPEATED,
            hint=functools.partial(layout.hint, model=model),
        )
        yield variables, arrays


def _check_same_function(model: tf.keras.Model, path: str | os.PathLike) -> None:
    """Raises an error if the weights are of a model that computes something else with them.

    Their shapes do not tell. The folder of an exported model has its recipe; a file has not.
    """
    recipe = recipe_of_weights(path)
    stored = recipe.model.config(num_classes=1) if recipe else None
    config = getattr(model, "config", None)
    if type(stored) is not type(config):
        return
    for field in NOT_IN_SHAPES.get(type(config), ()):
        found, wanted = getattr(stored, field), getattr(config, field)
        if found != wanted:
            raise ValueError(
                f"the weights must be of a model with {field}={wanted}, as the model {model.name}; "
                f"those in {os.fspath(path)} are of one with {field}={found}. "
                f"Create the model with {field}={found}."
            )


def save_npz(model: tf.keras.Model, path: str | os.PathLike) -> None:
    """Writes the weights of `model` with the names and shapes that the authors' code reads.

    Args:
        model: any model of this package.
        path: path of the .npz file, which appears there only when it is complete.
    """
    variables = _published_variables(model)
    shapes = _published_shapes(model, variables)
    arrays = LazyArrays(shapes, lambda name: variables[name].numpy().reshape(shapes[name]))
    write_npz(arrays, os.fspath(path))


def layout_of(model: tf.keras.Model) -> ModuleType:
    """Returns the module in `layouts` that describes the checkpoints of such a model."""
    if isinstance(model, VisionTransformer):
        return vit
    return bit if isinstance(model, BiTResNet) else mixer


def reinitialize_head(model: tf.keras.Model) -> None:
    """Gives the classification head, if there is one, the initial values of a new model."""
    if not any(layer.name == "head" for layer in model.layers):
        return
    head = model.get_layer("head")
    head.kernel.assign(head.kernel_initializer(head.kernel.shape, head.kernel.dtype))
    head.bias.assign(head.bias_initializer(head.bias.shape, head.bias.dtype))


def _published_variables(model: tf.keras.Model) -> dict[str, tf.Variable]:
    published_name = layout_of(model).published_name
    variables = model_weights.named_variables(model)
    return {published_name(name): variable for name, variable in variables.items()}


def _published_shapes(model: tf.keras.Model, variables: dict[str, tf.Variable]) -> dict[str, Shape]:
    published_shape = layout_of(model).published_shape
    shapes = model_weights.shapes_of(variables)
    return {name: published_shape(name, shape, model) for name, shape in shapes.items()}
