# SPDX-License-Identifier: Apache-2.0
"""What a training logs: weight plots, augmented images, confusion matrix, recipe, scalars."""

import harness
import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mixer_tf.models import MlpMixer
from mixer_tf.models.ablations import AblationMixer
from mixer_tf.training.length import TrainingLength
from mixer_tf.training.tensorboard import RunLog, WeightImages
from mixer_tf.visualization import filters
from mixer_tf.visualization.filter_plots import plot_model_filters

DIMENSIONS = {**harness.TINY_MIXER, "num_blocks": 4}


def logged_steps(model, folder, epochs: int) -> dict[str, list[int]]:
    callback = WeightImages(RunLog(str(folder)), TrainingLength(epochs, 10 * epochs))
    callback.set_model(model)
    for epoch in range(epochs):
        callback.on_epoch_end(epoch, {})
    found = {}
    for file in sorted(folder.rglob("events*")):
        events = EventAccumulator(str(file), size_guidance={"tensors": 0}).Reload()
        for tag in events.Tags()["tensors"]:
            found.setdefault(tag, []).extend(event.step for event in events.Tensors(tag))
    return {tag: sorted(steps) for tag, steps in found.items()}


def test_at_the_first_and_last_epoch_and_a_few_between(tmp_path):
    steps = logged_steps(MlpMixer(**DIMENSIONS), tmp_path, epochs=25)
    names = ("stem", "token_mixing_0", "token_mixing_1", "token_mixing_2")
    expected = [10, 40, 70, 100, 130, 160, 190, 220, 250]
    assert steps == {f"weights/{name}": expected for name in names}


def test_the_plots_are_those_of_the_weights():
    model = MlpMixer(**DIMENSIONS)
    kernel = model.get_layer("MixerBlock_1").token_mixing.dense_0.kernel
    expected = filters.plot_token_mixing(kernel.numpy(), (3, 4))
    np.testing.assert_array_equal(plot_model_filters(model)["token_mixing_1"], expected)


def test_tokens_of_a_pyramid_are_not_patches():
    model = AblationMixer(**DIMENSIONS, pyramid=(12, 4, 4, 4))
    assert set(plot_model_filters(model)) == {"stem", "token_mixing_0", "token_mixing_1"}


def test_other_models_have_no_plots(tmp_path):
    assert logged_steps(tf.keras.Sequential(), tmp_path, epochs=2) == {}
