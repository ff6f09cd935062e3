# SPDX-License-Identifier: Apache-2.0
"""The loop does what Keras' `fit` does, also from the middle of an epoch."""

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf import factory
from mixer_tf.training import compilation, loop
from mixer_tf.training.ema import averaged_weights
from mixer_tf.training.length import TrainingLength

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
LABELS = np.eye(3, dtype=np.float32)[RANDOM.integers(0, 3, 40)]


class Recorder(tf.keras.callbacks.Callback):
    """The calls of one training with their logs, in order."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.calls, self._stop_after = [], stop_after

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(("begin", epoch))

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(("step", batch, float(logs["loss"])))
        self.model.stop_training = len(self.calls) == self._stop_after

    def on_test_begin(self, logs=None):
        self.calls.append(("evaluate", self.model.get_weights()[0].sum()))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(("end", epoch, dict(logs)))


def batches(first=0):
    data = tf.data.Dataset.from_tensor_slices((PIXELS, LABELS)).batch(4).repeat()
    return data.skip(first)


def compiled(recipe, steps_at_once=1):
    tf.keras.utils.set_random_seed(0)
    changed = recipe.override(["optimizer.warmup_steps=0", "optimizer.ema=0.5"])
    model = factory.from_recipe(changed, 3)
    compilation.compile_model(model, changed, 9, tf.distribute.get_strategy())
    model.optimizer.build(model.trainable_variables)
    model._steps_per_execution.assign(steps_at_once)
    return model


@pytest.fixture
def evaluation():
    return loop.Evaluation(batches().take(2), 2)


def test_it_does_what_keras_does(recipe, evaluation):
    ours, keras = Recorder(), Recorder()
    model = compiled(recipe)
    loop.run(model, batches(), TrainingLength(3, 9), [ours], evaluation)
    other = compiled(recipe)
    data = dict(validation_data=evaluation.data, validation_steps=2, steps_per_epoch=3)
    other.fit(batches(), epochs=3, callbacks=[keras], verbose=0, **data)
    for weight, expected in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert [call[:2] for call in ours.calls if call[0] != "evaluate"] == [
        call[:2] for call in keras.calls if call[0] != "evaluate"
    ]
    losses = [[call[2]["loss"] for call in r.calls if call[0] == "end"] for r in (ours, keras)]
    assert losses[0] == losses[1]


def test_the_averaged_weights_are_evaluated(recipe, evaluation):
    recorder, model = Recorder(), compiled(recipe)
    loop.run(model, batches(), TrainingLength(1, 3), [recorder], evaluation)
    (seen,) = [call[1] for call in recorder.calls if call[0] == "evaluate"]
    logs = recorder.calls[-1][2]
    with averaged_weights(model):  # after the training, both are the average
        expected = model.evaluate(evaluation.data, steps=2, verbose=0, return_dict=True)
    assert seen == model.get_weights()[0].sum()
    assert logs["val_loss"] == expected["loss"] and logs["val_loss"] != logs["loss"]


@pytest.mark.parametrize(("length", "sizes"), [((2, 9), [5, 4]), ((4, 9), [2, 3, 2, 2])])
def test_epochs_may_differ_by_a_step(recipe, length, sizes):
    recorder = Recorder()
    loop.run(compiled(recipe), batches(), TrainingLength(*length), [recorder])
    steps = [call[1] for call in recorder.calls if call[0] == "step"]
    assert steps == [step for size in sizes for step in range(size)]


def test_it_resumes_within_an_epoch(recipe):
    """What the metrics have counted stays, so that all logs are those of an undisturbed run."""
    whole, length, model = Recorder(), TrainingLength(2, 9), compiled(recipe)
    loop.run(compiled(recipe), batches(), length, [whole])
    stop = tf.keras.callbacks.LambdaCallback(on_train_batch_end=stop_at_step_7(model))
    with pytest.raises(KeyboardInterrupt):
        loop.run(model, batches(), length, [stop])
    rest = Recorder()
    loop.run(model, batches(7), length, [rest], start=loop.Position(step=7, epochs=1))
    assert rest.calls == [("begin", 1), *whole.calls[-3:]]


def stop_at_step_7(model):
    def stop(batch, logs):
        if model.optimizer.iterations.numpy() == 7:
            raise KeyboardInterrupt

    return stop


def test_an_epoch_that_is_only_to_be_evaluated_has_its_logs(recipe, evaluation):
    recorder, model = Recorder(), compiled(recipe)
    start = loop.Position(step=6, epochs=1, logs={"loss": 0.25})
    loop.run(model, batches(6), TrainingLength(3, 9), [recorder], evaluation, start)
    assert [call[0] for call in recorder.calls][:4] == ["begin", "evaluate", "end", "begin"]
    assert recorder.calls[2][2]["loss"] == 0.25 and "val_loss" in recorder.calls[2][2]


def test_several_steps_at_once_end_with_the_epoch(recipe):
    recorder, model = Recorder(), compiled(recipe, steps_at_once=4)
    loop.run(model, batches(), TrainingLength(2, 18), [recorder])
    assert [call[1] for call in recorder.calls if call[0] == "step"] == [3, 7, 8] * 2
    assert model.optimizer.iterations.numpy() == 18 and model._steps_per_execution.numpy() == 4
    one = compiled(recipe)
    loop.run(one, batches(), TrainingLength(2, 18), [Recorder()])
    for weight, expected in zip(model.get_weights(), one.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-6)


def test_a_callback_can_stop_the_training(recipe):
    recorder = Recorder(stop_after=3)
    loop.run(compiled(recipe), batches(), TrainingLength(2, 9), [recorder])
    assert [call[0] for call in recorder.calls] == ["begin", "step", "step", "end"]
