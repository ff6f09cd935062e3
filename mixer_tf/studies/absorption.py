# SPDX-License-Identifier: Apache-2.0
"""A Mixer's weights for shuffled images: the paper's invariance to input permutations, exact.

For every fixed order of the patches, and of the pixels within the patches, there are weights with
which a Mixer gives the same logits as before. So it learns from shuffled images equally well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from mixer_tf.checkpoints import model_weights
from mixer_tf.checkpoints.lazy_arrays import Source, rearrange
from mixer_tf.models import MixerConfig, MlpMixer


def absorb_patch_permutation(model: MlpMixer, permutation: np.ndarray) -> MlpMixer:
    """Returns a Mixer that gives the logits of `model` when the patches of its images are shuffled.

    Tokens stay in the new order through all blocks: in each token-mixing MLP, the rows of the first
    layer and the columns and biases of the second layer are permuted. Nothing else changes, because
    nothing else distinguishes the tokens.

    ```
    order = input_order.pixel_order("patches", (224, 224), 16, seed=0)
    other = absorb_patch_permutation(model, input_order.patch_permutation(196, seed=0))
    other(input_order.shuffle_pixels(images, order))  # == model(images)
    ```

    Args:
        model: a Mixer; it is not changed.
        permutation: position `i` of the shuffled image holds patch `permutation[i]`.

    Raises:
        ValueError: `permutation` does not contain each patch exactly once.
        TypeError: `model` is not an MlpMixer.
    """
    _check_model(model)
    _check_permutation(permutation, model.config.num_tokens)
    changes = dict(_token_changes(model.config, np.asarray(permutation)))
    return _with_weights(model, changes)


def absorb_pixel_permutation(model: MlpMixer, permutation: np.ndarray) -> MlpMixer:
    """Returns a Mixer that gives the logits of `model` when the pixels of each patch are shuffled.

    Only the weights of the stem, a linear map of a patch, are permuted.

    Args:
        model: a Mixer; it is not changed.
        permutation: position `i` of a shuffled patch holds pixel `permutation[i]`, both counted
            row by row.

    Raises:
        ValueError: `permutation` does not contain each pixel of a patch exactly once.
        TypeError: `model` is not an MlpMixer.
    """
    _check_model(model)
    _check_permutation(permutation, model.config.patch_size**2)

    def shuffle(kernel: np.ndarray) -> np.ndarray:
        pixels = kernel.reshape(-1, *kernel.shape[2:])  # [P², 3, C]
        return pixels[np.asarray(permutation)].reshape(kernel.shape)

    return _with_weights(model, {"stem/kernel": shuffle})


def _token_changes(
    config: MixerConfig, permutation: np.ndarray
) -> Iterator[tuple[str, Callable[[np.ndarray], np.ndarray]]]:
    """Yields the name of each weight that depends on the order of tokens, and its permutation."""
    groups = np.arange(config.channel_groups) * config.num_tokens
    order = (groups[:, None] + permutation).ravel()  # the G·S inputs of a token-mixing MLP
    for block in range(config.num_blocks):
        tokens_in, tokens_out = config.tokens(block)
        mlp = f"MixerBlock_{block}/token_mixing"
        yield f"{mlp}/Dense_0/kernel", lambda kernel: kernel.take(order, axis=-2)
        if tokens_out != tokens_in:
            return  # a pyramid, whose output tokens are not patches
        for weight in ("kernel", "bias"):
            yield f"{mlp}/Dense_1/{weight}", lambda array: array.take(order, axis=-1)


def _with_weights(model: MlpMixer, changes: dict[str, Callable]) -> MlpMixer:
    """Returns a copy of `model` with some weights changed."""
    arrays = model_weights.arrays_of(model)
    sources = {name: Source(name, changes.get(name, np.asarray)) for name in arrays.shapes}
    fields = dataclasses.asdict(model.config)
    other = type(model)(name=model.name, dtype=model.dtype_policy, **fields)
    model_weights.assign(model_weights.named_variables(other), rearrange(arrays, sources))
    return other


def _check_model(model) -> None:
    if not isinstance(model, MlpMixer):
        raise TypeError(f"only an MlpMixer can absorb a permutation; got {model!r}.")


def _check_permutation(permutation: np.ndarray, count: int) -> None:
    if sorted(np.asarray(permutation).tolist()) != list(range(count)):
        raise ValueError(
            f"a permutation must contain each integer from 0 to {count - 1} once; "
            f"got {permutation}."
        )
