# SPDX-License-Identifier: Apache-2.0
"""The authors' .npz files of the reference models, ViT and BiT: into a model, and back.

What the two formats are is in `vit.py` and `bit.py`; each weight differs from ours in its name and,
at most, in how its axes are cut.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from types import ModuleType

import numpy as np
import tensorflow as tf

from mixer_tf.checkpoints import bit, model_weights, vit
from mixer_tf.checkpoints.npz import write_npz
from mixer_tf.checkpoints.opening import open_checkpoint
from mixer_tf.checkpoints.stored import Shape, StoredArrays, without
from mixer_tf.models.configured import ConfiguredModel
from mixer_tf.models.resnet_bit import BiTResNet
from mixer_tf.models.vit import VisionTransformer

_FORMATS = {VisionTransformer: vit, BiTResNet: bit}


def load_weights(
    model: ConfiguredModel, path: str | os.PathLike, *, head: str | None = None
) -> None:
    """Copies the weights of a checkpoint into a ViT or a BiT, one array at a time.

    ```
    model = create_model("vit_b16", image_size=384, num_classes=10)
    load_weights(model, "imagenet21k/ViT-B_16.npz", head="new")
    ```

    The position embeddings of a ViT are resized where the model is for another image size. A model
    without a head (num_classes=0) leaves the checkpoint's aside.

    Args:
        model: takes the weights; unchanged where they do not fit.
        path: of an .npz file of the authors, in any of their namings, wrapped up or not.
        head: None where the checkpoint's head must fit; "new" for a new one (zeros, and the bias
            that the model begins with), whatever the checkpoint has.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: the file is no checkpoint, is damaged, or does not fit: then the message lists
            all missing, extra and misshapen names.
        TypeError: the model is neither a ViT nor a BiT.
    """
    if head not in (None, "new"):
        raise ValueError(f'head must be None or "new"; got {head!r}.')
    form, config = format_of(model), model.config
    variables = _variables(model)
    headless = head == "new" or not config.num_classes
    if headless:
        variables = {name: v for name, v in variables.items() if name not in form.HEAD}
    shapes = _published_shapes(model, variables)
    with open_checkpoint(path) as stored:
        stored = form.to_published(stored, config)
        if headless:
            aside = [name for name in stored.shapes if form.belongs_to_head(name, config)]
            stored = without(stored, aside)
        _check_fit(form, model, shapes, stored.shapes, os.fspath(path))
        for name, variable in variables.items():
            array = np.asarray(stored.read(name), variable.dtype.as_numpy_dtype)
            variable.assign(array.reshape(variable.shape))
    if head == "new" and config.num_classes:
        _begin_head_anew(model)


def save_npz(model: ConfiguredModel, path: str | os.PathLike) -> None:
    """Writes the weights of a ViT or a BiT as the authors' code reads them: names and shapes.

    Args:
        model: the model.
        path: of the .npz file, which appears there only once it is whole.
    """
    variables = _variables(model)
    shapes = _published_shapes(model, variables)
    stored = StoredArrays(shapes, lambda name: variables[name].numpy().reshape(shapes[name]))
    write_npz(stored, os.fspath(path))


def format_of(model) -> ModuleType:
    """Returns the module that knows the checkpoints of such a model."""
    for model_class, form in _FORMATS.items():
        if isinstance(model, model_class):
            return form
    raise TypeError(
        f"the model must be a {' or a '.join(known.__name__ for known in _FORMATS)}; "
        f"got {type(model).__name__}."
    )


def _variables(model: ConfiguredModel) -> dict[str, tf.Variable]:
    name = format_of(model).published_name
    return {name(ours): v for ours, v in model_weights.named_variables(model).items()}


def _published_shapes(model: ConfiguredModel, variables) -> dict[str, Shape]:
    shape = format_of(model).published_shape
    return {name: shape(name, tuple(v.shape), model.config) for name, v in variables.items()}


def _check_fit(
    form: ModuleType, model, expected: dict[str, Shape], found: dict[str, Shape], path: str
) -> None:
    """Raises ValueError unless both have the same names and shapes."""
    misshapen = {
        f"{name} is {list(found[name])}, must be {list(shape)}": name
        for name, shape in expected.items()
        if found.get(name, shape) != shape
    }
    wrong = {
        "missing in the checkpoint": [name for name in expected if name not in found],
        "extra in the checkpoint": [name for name in found if name not in expected],
        "of another shape": list(misshapen),
    }
    if not any(wrong.values()):
        return
    lines = [f"the checkpoint {path} must fit the model {model.name}; it does not."]
    for title, entries in wrong.items():
        if entries:
            lines += [f"  {title}:", *(f"    {line}" for line in _join(entries, form.REPEATED))]
    names = {*wrong["missing in the checkpoint"], *wrong["extra in the checkpoint"]}
    only_head = names | set(misshapen.values()) <= set(form.HEAD)
    advice = 'Use head="new" for a new head.' if only_head else form.advice(found, model.config)
    raise ValueError("\n".join([*lines, advice]))


def _join(entries: list[str], repeated: re.Pattern) -> list[str]:
    """One line for all blocks that have the same to say: "…/encoderblock_{0,1,2}/… is …"."""
    numbers = defaultdict(list)
    for entry in entries:
        match = repeated.search(entry)
        before, after = (entry[: match.start(1)], entry[match.end(1) :]) if match else (entry, "")
        numbers[before, after].append(match[1] if match else "")
    return [
        before + (found[0] if len(found) == 1 else f"{{{','.join(found)}}}") + after
        for (before, after), found in numbers.items()
    ]


def _begin_head_anew(model: ConfiguredModel) -> None:
    head = model.get_layer("head")
    head.kernel.assign(head.kernel_initializer(head.kernel.shape, head.kernel.dtype))
    head.bias.assign(head.bias_initializer(head.bias.shape, head.bias.dtype))
