# SPDX-License-Identifier: Apache-2.0
"""load_weights and save_npz: from a file into a model, and back.

What the checkpoints of a family look like is in `mixer.py`, `vit.py` and `bit.py`.
"""

from __future__ import annotations

import functools
import os
from types import ModuleType

import numpy as np
import tensorflow as tf

from mixer_tf.checkpoints import model_weights
from mixer_tf.checkpoints.formats.npz import write_npz
from mixer_tf.checkpoints.layouts import bit, mixer, vit
from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape, without
from mixer_tf.checkpoints.matching import check_fit
from mixer_tf.checkpoints.opening import open_checkpoint
from mixer_tf.models.bit import BiTResNet
from mixer_tf.models.vit import VisionTransformer


def load_weights(
    model: tf.keras.Model, path: str | os.PathLike, *, head: str | None = None
) -> None:
    """Copies the weights of a checkpoint into `model`, one array at a time.

    ```
    model = create_model("mixer_b16", num_classes=10)
    load_weights(model, "imagenet21k/Mixer-B_16.npz", head="new")
    ```

    Any model of this package will do, those of `MixerB16(...)` too. A model without a head
    (num_classes=0) leaves the checkpoint's aside.

    Where a Mixer has K times as many patches in both directions and a K² times as wide
    `tokens_mlp_dim`, the weights are upscaled on the way (see `upscale`). The position embeddings
    of a ViT are resized where the model is for another image size.

    timm computes the exact GELU where the authors, and this package, use its tanh approximation:
    give a Mixer whose weights timm has trained `exact_gelu=True`. Without it the logits differ
    from timm's by some 3e-4 of the largest one.

    Args:
        model: takes the weights; unchanged where they do not fit.
        path: of an .npz file of the authors, in any of their namings, wrapped up or not; for a
            Mixer also of a .safetensors or .pth file of timm; or of the folder of a model that
            mixer_tf has exported, such as the output of `mixer train`.
        head: None where the checkpoint's head must fit; "new" for a new one (zeros, and the bias
            that the model begins with), whatever the checkpoint has.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: the file is no checkpoint, is damaged, or does not fit: then the message lists
            all missing, extra and misshapen names.
    """
    if head not in (None, "new"):
        raise ValueError(f'head must be None or "new"; got {head!r}.')
    form = layout_of(model)
    variables = _published_variables(model)
    headless = head == "new" or form.HEAD[0] not in variables
    if headless:
        variables = {name: v for name, v in variables.items() if name not in form.HEAD}
    shapes = _published_shapes(model, variables)
    with open_checkpoint(path) as stored:
        stored = form.to_published(stored, model)
        if headless:
            stored = without(stored, [n for n in stored.shapes if form.belongs_to_head(n, model)])
        check_fit(
            shapes,
            stored.shapes,
            f"the checkpoint {os.fspath(path)} must fit the model {model.name}; it does not.",
            head=form.HEAD,
            repeated=form.REPEATED,
            hint=functools.partial(form.hint, model=model),
        )
        for name, variable in variables.items():
            array = np.asarray(stored.read(name), variable.dtype.as_numpy_dtype)
            variable.assign(array.reshape(variable.shape))
    if head == "new":
        reinitialize_head(model)


def save_npz(model: tf.keras.Model, path: str | os.PathLike) -> None:
    """Writes the weights of `model` as the authors' code reads them: their names, their shapes.

    Args:
        model: any model of this package.
        path: of the .npz file, which appears there only once it is whole.
    """
    variables = _published_variables(model)
    shapes = _published_shapes(model, variables)
    stored = LazyArrays(shapes, lambda name: variables[name].numpy().reshape(shapes[name]))
    write_npz(stored, os.fspath(path))


def layout_of(model: tf.keras.Model) -> ModuleType:
    """Returns the module that knows the checkpoints of such a model."""
    if isinstance(model, VisionTransformer):
        return vit
    return bit if isinstance(model, BiTResNet) else mixer


def _published_variables(model: tf.keras.Model) -> dict[str, tf.Variable]:
    name = layout_of(model).published_name
    return {name(ours): v for ours, v in model_weights.named_variables(model).items()}


def _published_shapes(model: tf.keras.Model, variables) -> dict[str, Shape]:
    shape = layout_of(model).published_shape
    return {name: shape(name, tuple(v.shape), model) for name, v in variables.items()}


def reinitialize_head(model: tf.keras.Model) -> None:
    if not any(layer.name == "head" for layer in model.layers):
        return
    head = model.get_layer("head")
    head.kernel.assign(head.kernel_initializer(head.kernel.shape, head.kernel.dtype))
    head.bias.assign(head.bias_initializer(head.bias.shape, head.bias.dtype))
