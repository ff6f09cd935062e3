# SPDX-License-Identifier: Apache-2.0
"""load_weights and save_npz: from a file into a model, and back."""

from __future__ import annotations

import math
import os

import tensorflow as tf

from mixer_tf.checkpoints import model_weights
from mixer_tf.checkpoints.matching import FIRST_TOKEN_KERNEL, HEAD, check_fit
from mixer_tf.checkpoints.npz import write_npz
from mixer_tf.checkpoints.opening import open_checkpoint
from mixer_tf.checkpoints.resolution import Grid, block_diagonal
from mixer_tf.checkpoints.stored import Shape, StoredArrays, without


def load_weights(
    model: tf.keras.Model, path: str | os.PathLike, *, head: str | None = None
) -> None:
    """Copies the weights of a checkpoint into `model`, one array at a time.

    ```
    model = create_model("mixer_b16", num_classes=10)
    load_weights(model, "imagenet21k/Mixer-B_16.npz", head="new")
    ```

    Any Mixer of this package will do, those of `MixerB16(...)` too. A model without a head
    (num_classes=0) leaves the checkpoint's aside. Where the model has K times as many patches in
    both directions and a K² times as wide `tokens_mlp_dim`, the weights are upscaled on the way
    (see `upscale`).

    timm computes the exact GELU where the authors, and this package, use its tanh approximation:
    from a timm file, the logits differ from timm's by some 3e-4 of the largest one. Weights that
    Google trained are at home here; those that timm trained are not quite.

    Args:
        model: takes the weights; unchanged where they do not fit.
        path: of an .npz file of the authors, in either of their namings, wrapped up or not; of a
            .safetensors or .pth file of timm; or of the folder of a model that mixer_tf has
            exported, such as the output of `mixer train`.
        head: None where the checkpoint's head must fit; "new" for a new one (zeros, and the bias
            that the model begins with), whatever the checkpoint has.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: the file is no checkpoint, is damaged, or does not fit: then the message lists
            all missing, extra and misshapen names.
    """
    if head not in (None, "new"):
        raise ValueError(f'head must be None or "new"; got {head!r}.')
    variables = model_weights.named_variables(model)
    aside = HEAD if head == "new" or HEAD[0] not in variables else ()
    body = {name: variable for name, variable in variables.items() if name not in aside}
    shapes = model_weights.shapes_of(body)
    with open_checkpoint(path) as stored:
        stored = without(stored, aside)
        stored = _upscale_to(_grid(model), shapes, stored)
        check_fit(shapes, stored.shapes, os.fspath(path), model.name)
        model_weights.assign(body, stored)
    if head == "new":
        _begin_head_anew(model)


def save_npz(model: tf.keras.Model, path: str | os.PathLike) -> None:
    """Writes the weights of `model` as the authors' code reads them: their names, their shapes.

    Args:
        model: any Mixer of this package.
        path: of the .npz file, which appears there only once it is whole.
    """
    write_npz(model_weights.stored_in(model), os.fspath(path))


def _upscale_to(grid: Grid, shapes: dict[str, Shape], stored: StoredArrays) -> StoredArrays:
    """Returns `stored` for `grid`, where that is a whole multiple of the grid that it is for."""
    ours, theirs = shapes.get(FIRST_TOKEN_KERNEL, ()), stored.shapes.get(FIRST_TOKEN_KERNEL, ())
    if not len(ours) == len(theirs) == 2:
        return stored
    factor = math.isqrt(ours[0] // theirs[0])
    is_whole = ours == tuple(factor**2 * n for n in theirs) and not any(n % factor for n in grid)
    if factor < 2 or not is_whole:
        return stored
    return block_diagonal(stored, (grid[0] // factor, grid[1] // factor), factor)


def _grid(model: tf.keras.Model) -> Grid:
    """Returns rows and columns of patches; also of a Mixer that knows no MixerConfig."""
    _, height, width, _ = model.input_shape
    rows, columns, *_ = model.get_layer("stem").kernel.shape
    return height // rows, width // columns


def _begin_head_anew(model: tf.keras.Model) -> None:
    head = model.get_layer("head")
    head.kernel.assign(head.kernel_initializer(head.kernel.shape, head.kernel.dtype))
    head.bias.assign(head.bias_initializer(head.bias.shape, head.bias.dtype))
