# SPDX-License-Identifier: Apache-2.0
"""Every way to build a model: by name, with the weights of a checkpoint, for a recipe or export."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

import tensorflow as tf

from mixer_tf.checkpoints import loading
from mixer_tf.checkpoints.downloading import find_published, find_weights
from mixer_tf.checkpoints.layouts import mixer
from mixer_tf.checkpoints.lazy_arrays import Shape
from mixer_tf.checkpoints.opening import open_checkpoint
from mixer_tf.checkpoints.published import KNOWN
from mixer_tf.checkpoints.upscaling import fitting_size, larger_config, upscale
from mixer_tf.models import registry
from mixer_tf.models.base import ConfiguredModel
from mixer_tf.models.mixer_config import ABLATIONS, MixerConfig
from mixer_tf.models.mlp_mixer import MlpMixer
from mixer_tf.models.validation import height_and_width
from mixer_tf.recipes.exported import recipe_of_weights
from mixer_tf.recipes.schema import Recipe

# Our layers do not need autograph, whose conversion takes seconds at every start.
_AS_WRITTEN = tf.autograph.experimental.do_not_convert

_PLAIN = {field: getattr(MixerConfig, field) for field in ABLATIONS}  # the paper's token mixing


def create_model(
    name: str,
    *,
    image_size=None,
    num_classes: int | None = None,
    weights=None,
    interpolate: bool = False,
    head: str | None = None,
    dtype=None,
    **fields,
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
            or "mixer" with every dimension in `fields`. In the same way "vit_b16" (sizes ti to h)
            or "vit", and "bit_r50x1" (50, 101, 152 or 200 layers, any width) or "bit".
        image_size: pixels; one number, or (height, width). None for that of a Mixer's `weights`,
            or 224. For larger images, `weights` are upscaled (`mixer_tf.upscale`).
        num_classes: outputs of the head; 0 for the pooled features. None for the number of classes
            of the `weights`, or 1000. The head is new if this is not the number of the `weights`.
        weights: None for random ones; the path of a checkpoint (see `mixer_tf.load_weights`); or
            the name of a published one ("imagenet21k"), which is downloaded if it is not there.
        interpolate: if `image_size` is not an integer multiple of that of a Mixer's `weights`,
            resize these as images, which is not in the paper.
        head: "new" for a new one even if that of the `weights` would fit.
        dtype: a Keras dtype policy or its name, such as "mixed_bfloat16"; None for the global one.
        **fields: fields of `MixerConfig`, `ViTConfig` or `BiTConfig` that replace those of the
            name.

    Raises:
        ValueError: the name is unknown, or a value is not possible.
        TypeError: the configuration does not have one of the `fields`.
        DownloadError: the weights cannot be downloaded; the message says where to put them.
    """
    options = {"image_size": image_size, "num_classes": num_classes, "dtype": dtype, **fields}
    if weights is None:
        return _create_new(name, **options)
    return _create_pretrained(name, weights, interpolate=interpolate, head=head, **options)


def from_preset(name: str, **options) -> MlpMixer:
    """Builds a model with published weights, which are downloaded if they are not there yet.

    ```
    model = from_preset("mixer_b16_imagenet21k", num_classes=10)
    model = from_preset("mixer_b16_imagenet21k", num_classes=10, image_size=448)
    ```

    Args:
        name: one of `KNOWN`.
        **options: arguments of `create_model`, and the `cache_dir` of `fetch`.

    Raises:
        ValueError: the name is unknown, or a value is not possible.
        DownloadError: the weights cannot be downloaded; the message says where to put them.
    """
    if name not in KNOWN:
        raise ValueError(f"the preset must be one of {', '.join(KNOWN)}; got {name!r}.")
    return _create_pretrained(KNOWN[name].model, name, **options)


@_AS_WRITTEN
def from_recipe(recipe: Recipe, num_classes: int) -> ConfiguredModel:
    """Builds a recipe's model with its initial weights, in the recipe's precision.

    Raises:
        ValueError: the recipe's weights do not fit the model.
        DownloadError: the weights cannot be downloaded; the message says where to put them.
    """
    return create_model(num_classes=num_classes, **_model_options(recipe))


@_AS_WRITTEN
def check_weights(recipe: Recipe) -> None:
    """Raises what `from_recipe` would raise about the recipe's weights; builds no usable model.

    Published weights are downloaded, so that `from_recipe` finds them. Every array is read once,
    and none is kept.

    Raises:
        ValueError: the weights do not exist, are corrupt, or do not fit the model.
        DownloadError: the weights cannot be downloaded; the message says where to put them.
    """
    if recipe.model.weights is None:
        return
    with tf.device("CPU"), tf.variable_creator_scope(_create_zeros):
        _create_pretrained(load=loading.check_weights, **_model_options(recipe))


def config_from_recipe(recipe: Recipe, num_classes: int):
    """Returns the configuration of the model that `from_recipe` builds; nothing is downloaded.

    It is larger than that of the recipe if its weights are upscaled for larger images.

    Raises:
        ValueError: the recipe's weights do not exist.
    """
    name, weights = registry.canonical_name(recipe.model.name), recipe.model.weights
    if weights is None or recipe.model.family is not registry.MIXER:
        return recipe.model.config(num_classes)
    size, fields = recipe.model.image_size, dict(recipe.model.fields)
    known = find_published(name, weights)
    if known:
        stored_size = known.image_size
    else:
        path = find_weights(name, weights)
        with open_checkpoint(path) as stored:
            stored_size, fields = _before_upscaling(name, path, stored.shapes, size, fields)
    config = registry.resolve(name, image_size=stored_size, num_classes=num_classes, **fields)
    return larger_config(config, image_size=size)


def _model_options(recipe: Recipe) -> dict[str, object]:
    """Returns the arguments of `create_model` that a recipe decides: all but the classes."""
    model = recipe.model
    return {
        "name": model.name,
        "image_size": model.image_size,
        "weights": model.weights,
        "interpolate": model.interpolate,
        "head": None if model.keep_head else "new",
        "dtype": recipe.training.precision,
        **model.fields,
    }


def _create_zeros(next_creator: Callable, **options) -> tf.Variable:
    """Creates a variable of zeros; random initial values take most of the time of a new model."""
    shape, dtype = options["shape"], options["dtype"]
    if shape is not None:
        options["initial_value"] = lambda: tf.zeros(shape, dtype)
    return next_creator(**options)


@_AS_WRITTEN
def for_export(recipe: Recipe, num_classes: int) -> ConfiguredModel:
    """Builds the model of an exported recipe in float32; the caller loads the exported weights."""
    model = recipe.model
    sizes = {"image_size": model.image_size, "num_classes": num_classes}
    return create_model(model.name, dtype="float32", **sizes, **model.fields)


def _create_new(
    name: str, *, image_size=None, num_classes: int | None = None, dtype=None, **fields
) -> ConfiguredModel:
    """Builds a model with random weights; see `create_model`."""
    image_size = registry.IMAGE_SIZE if image_size is None else image_size
    num_classes = registry.NUM_CLASSES if num_classes is None else num_classes
    config = registry.resolve(name, image_size=image_size, num_classes=num_classes, **fields)
    family, canonical, _ = registry.find(name)
    model_class = family.model_class(config)
    return model_class(name=canonical, dtype=dtype, **dataclasses.asdict(config))


def _create_pretrained(
    name: str,
    weights: str | os.PathLike,
    *,
    image_size=None,
    num_classes: int | None = None,
    interpolate: bool = False,
    head: str | None = None,
    cache_dir: str | None = None,
    load: Callable[..., None] = loading.load_weights,
    **options,
) -> ConfiguredModel:
    """Builds a model with the weights of a checkpoint; see `create_model`.

    The head is new if the checkpoint's has another number of classes.

    Args:
        name, weights, image_size, num_classes, interpolate, head: as in `create_model`.
        cache_dir: see `fetch`.
        load: `load_weights`, or a function with its arguments.
        **options: the dtype and the fields of `create_model`.
    """
    path = find_weights(registry.canonical_name(name), weights, cache_dir)
    with open_checkpoint(path) as stored:
        shapes = stored.shapes
    stored_classes = _num_classes(shapes)
    if num_classes is None:
        num_classes = stored_classes or 0
    if num_classes not in (0, stored_classes):
        head = "new"
    size, options = _before_upscaling(name, path, shapes, image_size, options)
    model = _create_new(name, image_size=size, num_classes=num_classes, **options)
    load(model, path, head=head)
    if image_size is None or model.config.image_size == height_and_width(image_size):
        return model
    return upscale(model, image_size=image_size, interpolate=interpolate)


def _before_upscaling(
    name: str, path: str, shapes: dict[str, Shape], image_size, options: dict[str, object]
) -> tuple[object, dict[str, object]]:
    """Returns the image size and the options of a model that a checkpoint can be loaded into.

    Args:
        name, image_size: as in `create_model`.
        path: path of the checkpoint.
        shapes: shapes of its weights.
        options: the dtype and the fields of `create_model`.
    """
    size = image_size or registry.IMAGE_SIZE
    if registry.family_of(name) is not registry.MIXER:
        return size, options
    ablations = [field for field in ABLATIONS if options.get(field, _PLAIN[field]) != _PLAIN[field]]
    if not ablations and mixer.tokens_and_width(shapes):
        size, width = fitting_size(shapes, image_size, options.get("tokens_mlp_dim"))
        return size, {**options, "tokens_mlp_dim": width}
    recipe = recipe_of_weights(path)
    if not ablations or "pyramid" in ablations or recipe is None:
        return size, options
    # The shapes do not tell the number of tokens from that of the groups; the recipe does.
    stored = recipe.model.config(num_classes=1)
    return stored.image_size, {**options, "tokens_mlp_dim": stored.tokens_mlp_dim}


def _num_classes(shapes: dict[str, Shape]) -> int | None:
    """Returns the number of classes of a checkpoint of any family; None without a head."""
    heads = [s for name, s in shapes.items() if name.endswith(("head/bias", "head/conv2d/bias"))]
    return heads[0][0] if heads else None


# The name of keras-hub. The class itself must not import checkpoints, so it is set here.
MlpMixer.from_preset = staticmethod(from_preset)
