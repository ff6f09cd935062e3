# SPDX-License-Identifier: Apache-2.0
import pytest

from mixer_tf.recipes.schema import TrainingOptions
from mixer_tf.training.length import TrainingLength, length_notes, training_length


@pytest.mark.parametrize(
    ("epochs", "num_examples", "batch_size", "steps"),
    [
        # By hand, as big_vision's `steps` rounds: epochs × images / batch, once.
        (10, 767, 512, 15),  # 14.98; each epoch by itself would be 1 step
        (300, 1_281_167, 4096, 93_835),  # ImageNet: 93,835.47
        (60, 1_268_355, 4096, 18_579),  # the authors' run on 99 % of it
        (3, 1280, 128, 30),
        (1, 3, 128, 1),
        (3, 1300, 128, 30),  # 30.47
    ],
)
def test_the_total_is_rounded_once(epochs, num_examples, batch_size, steps):
    training = TrainingOptions(epochs=epochs, batch_size=batch_size)
    assert training_length(training, num_examples) == TrainingLength(epochs, steps)


@pytest.mark.parametrize(
    "steps, num_examples, epochs",
    [
        # Fine-tuning in the paper: CIFAR-10 at 98 %, ImageNet at 99 %, Pets at 90 %.
        (10_000, 49_000, 104),
        (20_000, 1_268_355, 8),
        (500, 3_312, 77),
        (499, 5_120, 50),  # a prime number
        (7, 64, 7),
        (7, 10**9, 1),
    ],
)
def test_the_number_of_steps_is_exact(steps, num_examples, epochs):
    length = training_length(TrainingOptions(steps=steps, batch_size=512), num_examples)
    assert length == TrainingLength(epochs, steps)


@pytest.mark.parametrize("length", [(10, 15), (7, 7), (104, 10_000), (3, 500), (1, 9)])
def test_epochs_have_equal_lengths_rounded_to_steps(length):
    length = TrainingLength(*length)
    ends = [length.end(epochs) for epochs in range(length.epochs + 1)]
    sizes = [after - before for before, after in zip(ends, ends[1:], strict=False)]
    assert ends[0] == 0 and ends[-1] == length.steps
    assert max(sizes) - min(sizes) <= 1 and min(sizes) >= 1
    mean = length.steps / length.epochs
    assert all(abs(end - mean * epochs) <= 0.5 for epochs, end in enumerate(ends))


def test_a_batch_larger_than_the_data_has_fewer_epochs_and_a_note():
    training = TrainingOptions(epochs=30, batch_size=128)
    assert training_length(training, 40) == TrainingLength(9, 9)
    (note,) = length_notes(training, 40)
    assert "training.epochs=30 of 40 images are 9 steps of training.batch_size=128" in note
    assert length_notes(training, 128) == length_notes(TrainingOptions(steps=3), 40) == ()
