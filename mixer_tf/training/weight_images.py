# SPDX-License-Identifier: Apache-2.0
"""Pictures of a Mixer's weights for TensorBoard, while it learns."""

from __future__ import annotations

import math
import os

import numpy as np
import tensorflow as tf

from mixer_tf.models import MlpMixer
from mixer_tf.studies import weight_pictures

_BLOCKS = 3  # the first ones, as in the paper's Figure 5
_TIMES = 10  # at most, in one training


class WeightImages(tf.keras.callbacks.Callback):
    """Logs the pictures of `mixer plot filters`, of the stem and the first three blocks.

    At the end of the first epoch, of the last one, and of up to nine in between. Of models that are
    no Mixer it logs nothing.

    Args:
        folder: of all logs of the training; the images become a run `weights` of their own.
        epochs: of the whole training.
    """

    def __init__(self, folder: str, epochs: int):
        super().__init__()
        self._folder = os.path.join(folder, "weights")
        self._epochs, self._every = epochs, math.ceil(epochs / _TIMES)

    def on_epoch_end(self, epoch, logs=None):
        if epoch % self._every and epoch + 1 != self._epochs:
            return
        pictures = model_pictures(self.model)
        if not pictures:
            return
        with tf.summary.create_file_writer(self._folder).as_default():
            for name, picture in pictures.items():
                tf.summary.image(name, picture[None], step=epoch + 1)


def model_pictures(model: tf.keras.Model, blocks: int = _BLOCKS) -> dict[str, np.ndarray]:
    """Returns the pictures of a model's weights by name, uint8 [height, width, 3] each.

    Blocks in which the tokens are no patches any more, those of a pyramid, are left out.

    Args:
        model: a Mixer; of any other model there are no pictures.
        blocks: how many of the first ones to draw.
    """
    if not isinstance(model, MlpMixer):
        return {}
    config = model.config
    pictures = {"stem": weight_pictures.stem_picture(model.get_layer("stem").kernel.numpy())}
    for block in range(min(blocks, config.num_blocks)):
        if config.tokens(block)[0] == config.num_tokens:
            kernel = model.get_layer(f"MixerBlock_{block}").token_mixing.dense_0.kernel.numpy()
            picture = weight_pictures.token_mixing_picture(kernel, config.grid)
            pictures[f"token_mixing_{block}"] = picture
    return pictures
