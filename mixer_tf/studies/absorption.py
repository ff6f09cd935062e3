# SPDX-License-Identifier: Apache-2.0
"""A Mixer's weights for shuffled images: the paper's invariance to input permutations, exact.

Whatever fixed order the patches come in, and the pixels within the patches, there are weights with
which a Mixer answers as before. So it learns as well from shuffled images as from others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from mixer_tf.checkpoints import model_weights
from mixer_tf.checkpoints.lazy_arrays import Source, rearrange
from mixer_tf.models import MixerConfig, MlpMixer


def absorb_patch_permutation(model: MlpMixer, permutation: np.ndarray) -> MlpMixer:
    """Returns a Mixer that answers for images with shuffled patches as `model` for the originals.

    Tokens keep the new order through all blocks: the first layer of each token-mixing MLP gets its
    rows, the second its columns and biases in the new order. Nothing else changes, for nothing else
    knows one token from another.

    ```
    order = input_order.pixel_order("patches", (224, 224), 16, seed=0)
    other = absorb_patch_permutation(model, input_order.patch_permutation(196, seed=0))
    other(input_order.shuffle_pixels(images, order))  # == model(images)
    ```

    Args:
        model: stays as it is.
        permutation: place `i` takes patch `permutation[i]`.

    Raises:
        ValueError: `permutation` does not hold each patch once.
        TypeError: `model` is no MlpMixer.
    """
    _check(model, permutation, "num_tokens")
    changes = dict(_token_changes(model.config, np.asarray(permutation)))
    return _with_weights(model, changes)


def absorb_pixel_permutation(model: MlpMixer, permutation: np.ndarray) -> MlpMixer:
    """Returns a Mixer that answers for patches with shuffled pixels as `model` for the originals.

    Only the stem, which is a linear map of a patch, gets its weights in another order.

    Args:
        model: stays as it is.
        permutation: of the pixels of a patch, row by row; place `i` takes pixel `permutation[i]`.

    Raises:
        ValueError: `permutation` does not hold each pixel of a patch once.
        TypeError: `model` is no MlpMixer.
    """
    _check(model, permutation, "patch_size")

    def shuffle(kernel: np.ndarray) -> np.ndarray:
        pixels = kernel.reshape(-1, *kernel.shape[2:])  # [P², 3, C]
        return pixels[np.asarray(permutation)].reshape(kernel.shape)

    return _with_weights(model, {"stem/kernel": shuffle})


def _token_changes(
    config: MixerConfig, permutation: np.ndarray
) -> Iterator[tuple[str, Callable[[np.ndarray], np.ndarray]]]:
    """Yields the name of each weight that knows the tokens, and how it follows their order."""
    groups = np.arange(config.channel_groups) * config.num_tokens
    order = (groups[:, None] + permutation).ravel()  # of the G·S inputs of a token-mixing MLP
    for block in range(config.num_blocks):
        tokens_in, tokens_out = config.tokens(block)
        mlp = f"MixerBlock_{block}/token_mixing"
        yield f"{mlp}/Dense_0/kernel", lambda kernel: kernel.take(order, axis=-2)
        if tokens_out != tokens_in:
            return  # of a pyramid; the tokens that come out are no patches
        for weight in ("kernel", "bias"):
            yield f"{mlp}/Dense_1/{weight}", lambda array: array.take(order, axis=-1)


def _with_weights(model: MlpMixer, changes: dict[str, Callable]) -> MlpMixer:
    """Returns a new model like `model`, some of whose weights are changed."""
    stored = model_weights.stored_in(model)
    sources = {name: Source(name, changes.get(name, np.asarray)) for name in stored.shapes}
    fields = dataclasses.asdict(model.config)
    other = type(model)(name=model.name, dtype=model.dtype_policy, **fields)
    model_weights.assign(model_weights.named_variables(other), rearrange(stored, sources))
    return other


def _check(model, permutation: np.ndarray, what: str) -> None:
    if not isinstance(model, MlpMixer):
        raise TypeError(f"only a Mixer absorbs another order; got {model!r}.")
    config = model.config
    count = config.num_tokens if what == "num_tokens" else config.patch_size**2
    if sorted(np.asarray(permutation).tolist()) != list(range(count)):
        raise ValueError(
            f"the permutation must hold each number from 0 to {count - 1} once; got {permutation}."
        )
