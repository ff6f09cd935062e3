# SPDX-License-Identifier: Apache-2.0
"""Models that begin with the weights of a checkpoint: what `create_model(weights=…)` does."""

from __future__ import annotations

import math
import os

from mixer_tf.checkpoints import loading, mixer
from mixer_tf.checkpoints.downloading import fetch
from mixer_tf.checkpoints.known import KNOWN
from mixer_tf.checkpoints.opening import open_checkpoint
from mixer_tf.checkpoints.stored import Shape
from mixer_tf.checkpoints.upscaling import upscale
from mixer_tf.models import MlpMixer, create_model, presets
from mixer_tf.models.checks import height_and_width
from mixer_tf.models.configured import ConfiguredModel


def create_pretrained(
    name: str,
    weights: str | os.PathLike,
    *,
    image_size=None,
    num_classes: int | None = None,
    interpolate: bool = False,
    head: str | None = None,
    cache_dir: str | None = None,
    **options,
) -> ConfiguredModel:
    """Builds a model with the weights of a checkpoint; see `create_model`.

    A head for another number of classes than the checkpoint's is a new one.

    Args:
        name, weights, image_size, num_classes, interpolate, head: as in `create_model`.
        cache_dir: see `fetch`.
        **options: dtype and the further options of `create_model`.
    """
    path = find_weights(name, weights, cache_dir)
    with open_checkpoint(path) as stored:
        shapes = stored.shapes
    stored_classes = _num_classes(shapes)
    if num_classes is None:
        num_classes = stored_classes or 0
    if num_classes not in (0, stored_classes):
        head = "new"
    size = image_size or presets.IMAGE_SIZE
    if _is_plain_mixer(name, options) and mixer.tokens_and_width(shapes):
        size, width = _size_and_width(shapes, image_size, options.get("tokens_mlp_dim"))
        options["tokens_mlp_dim"] = width
    model = create_model(name, image_size=size, num_classes=num_classes, **options)
    loading.load_weights(model, path, head=head)
    if image_size is None or model.config.image_size == height_and_width(image_size):
        return model
    return upscale(model, image_size=image_size, interpolate=interpolate)


def _size_and_width(shapes: dict[str, Shape], image_size, width: int | None):
    """Returns the image size and tokens_mlp_dim of the model that can take a Mixer's weights.

    Where `image_size` is a whole multiple of the weights' own, it is that: `load_weights` upscales
    on the way, so that there is never a second, smaller model. Otherwise it is their own size.
    """
    tokens, stored_width = mixer.tokens_and_width(shapes)
    own_size = _own_size(tokens, shapes["stem/kernel"][0], image_size)
    width = _upscaled_width(width, stored_width)
    wanted = image_size or own_size or presets.IMAGE_SIZE
    factor = _factor(own_size or wanted, wanted)
    return (wanted, width * factor**2) if factor else (own_size, width)


def _is_plain_mixer(name: str, options: dict) -> bool:
    """Whether it is a Mixer that mixes tokens as in the paper; only those can be upscaled."""
    others = [options.get(field) for field in ("untied", "channel_views", "pyramid")]
    is_varied = any(others) or options.get("channel_groups", 1) > 1
    return presets.family_of(name) is presets.MIXER and not is_varied


def _factor(own_size, size) -> int:
    """Returns K where images of `size` are K times as high and wide; 0 where K is not whole."""
    own, wanted = height_and_width(own_size), height_and_width(size)
    factor = wanted[0] // own[0]
    return factor if wanted == tuple(factor * side for side in own) else 0


def from_preset(name: str, **options) -> MlpMixer:
    """Builds a model with published weights, which are downloaded where they are not there yet.

    ```
    model = from_preset("mixer_b16_imagenet21k", num_classes=10)
    model = from_preset("mixer_b16_imagenet21k", num_classes=10, image_size=448)
    ```

    Args:
        name: one of `KNOWN`.
        **options: of `create_model`, and the `cache_dir` of `fetch`.

    Raises:
        ValueError: the name is unknown, or a value is not possible.
        DownloadError: the weights cannot be downloaded; the message says where to put them.
    """
    if name not in KNOWN:
        raise ValueError(f"the preset must be one of {', '.join(KNOWN)}; got {name!r}.")
    return create_pretrained(KNOWN[name].model, name, **options)


def find_weights(name: str, weights: str | os.PathLike, cache_dir: str | None = None) -> str:
    """Returns the path of a checkpoint; a published one is fetched.

    Args:
        name: of the model.
        weights: a path; or the name of a published checkpoint, whole ("mixer_b16_imagenet21k") or
            what it was trained on ("imagenet21k").
        cache_dir: see `fetch`.

    Raises:
        ValueError: it is neither.
        DownloadError: it cannot be downloaded.
    """
    canonical = presets.canonical_name(name)
    for key in (weights, f"{canonical}_{weights}"):
        if key in KNOWN:
            return fetch(key, cache_dir=cache_dir)
    path = os.path.expanduser(os.fspath(weights))
    if os.path.exists(path):
        return path
    fitting = [key for key, known in KNOWN.items() if known.model == canonical]
    raise ValueError(
        f"weights must be the path of a checkpoint or the name of a published one; got {weights}. "
        f"For {canonical} there are {', '.join(fitting) or 'no published ones'}."
    )


def _num_classes(shapes: dict[str, Shape]) -> int | None:
    """Returns the number of classes of a checkpoint of any family; None without a head."""
    heads = [s for name, s in shapes.items() if name.endswith(("head/bias", "head/conv2d/bias"))]
    return heads[0][0] if heads else None


def _upscaled_width(wanted: int | None, stored: int) -> int:
    """Returns the stored tokens_mlp_dim where it is K² times the one that is asked for.

    Weights that were upscaled before are as much wider as they have more patches.
    """
    if wanted and math.isqrt(stored // wanted) ** 2 * wanted != stored:
        return wanted
    return stored


def _own_size(tokens: int, patch_size: int, wanted):
    """Returns the image size that a Mixer's weights are for; None where the shapes do not tell."""
    if wanted is not None:
        height, width = height_and_width(wanted)
        if (height // patch_size) * (width // patch_size) == tokens:
            return height, width
    side = math.isqrt(tokens)
    return side * patch_size if side**2 == tokens else None
