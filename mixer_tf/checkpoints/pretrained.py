# SPDX-License-Identifier: Apache-2.0
"""Models with published weights, by name."""

from __future__ import annotations

from mixer_tf.checkpoints.downloading import fetch
from mixer_tf.checkpoints.known import KNOWN
from mixer_tf.checkpoints.loading import load_weights
from mixer_tf.checkpoints.upscaling import upscale
from mixer_tf.models import MlpMixer, create_model


def from_preset(
    name: str,
    *,
    image_size=None,
    num_classes: int | None = None,
    interpolate: bool = False,
    cache_dir: str | None = None,
    dtype=None,
    **overrides,
) -> MlpMixer:
    """Builds a model with published weights, which are downloaded where they are not there yet.

    ```
    model = from_preset("mixer_b16_imagenet21k", num_classes=10)
    model = from_preset("mixer_b16_imagenet21k", num_classes=10, image_size=448)
    ```

    Args:
        name: one of `KNOWN`.
        image_size: another than the weights are for; see `upscale`, also for `interpolate`.
        num_classes: another number than the weights have gives a new head; 0 gives none.
        interpolate: see `upscale`.
        cache_dir: see `fetch`.
        dtype: see `create_model`.
        **overrides: further fields of `MixerConfig`: dropout, stochastic_depth …

    Raises:
        ValueError: the name is unknown, or a value is not possible.
        DownloadError: the weights cannot be downloaded; the message says where to put them.
    """
    path = fetch(name, cache_dir=cache_dir)
    known = KNOWN[name]
    if num_classes is None:
        num_classes = known.num_classes
    model = create_model(
        known.model,
        image_size=known.image_size,
        num_classes=num_classes,
        dtype=dtype,
        **overrides,
    )
    head = "new" if num_classes not in (0, known.num_classes) else None
    load_weights(model, path, head=head)
    if image_size is None:
        return model
    return upscale(model, image_size=image_size, interpolate=interpolate)
