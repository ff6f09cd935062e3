# SPDX-License-Identifier: Apache-2.0
import pytest

from mixer_tf.recipes.schema import TrainingOptions
from mixer_tf.training.length import TrainingLength, training_length


@pytest.mark.parametrize("num_examples, steps", [(1280, 10), (1300, 10), (3, 1)])
def test_an_epoch_is_a_pass(num_examples, steps):
    assert training_length(
        TrainingOptions(epochs=3, batch_size=128), num_examples
    ) == TrainingLength(3, steps)


@pytest.mark.parametrize(
    "steps, num_examples, epochs",
    [
        # Fine-tuning in the paper: CIFAR-10 at 98 %, ImageNet at 99 %, Pets at 90 %.
        (10_000, 49_000, 100),
        (20_000, 1_268_355, 8),
        (500, 3_312, 100),
        (7, 64, 7),
        (7, 10**9, 1),
    ],
)
def test_the_number_of_steps_is_exact(steps, num_examples, epochs):
    length = training_length(TrainingOptions(steps=steps, batch_size=512), num_examples)
    assert length.steps == steps
    assert length.epochs == epochs


def test_steps_without_a_fitting_divisor_are_an_error():
    with pytest.raises(ValueError, match="by about the steps of one pass .*, 10; got 499. Use 500"):
        training_length(TrainingOptions(steps=499, batch_size=512), 5_120)
