# SPDX-License-Identifier: Apache-2.0
"""The paper's optimizers, Adam and momentum, with the authors' learning rate and weight decay.

Keras' own optimizers differ in ways that change results: see `Adam` and `Momentum`. These agree
with optax, which the authors used, to float precision (tests/training/test_optimizers.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import tensorflow as tf

from mixer_tf.recipes.schema import OptimizerOptions


@tf.keras.saving.register_keras_serializable(package="mixer_tf")
class WarmupDecay(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0 to the peak, then a decay until `total_steps`.

    Source: big_vision utils.py `create_learning_rate_schedule`. As there, the decay starts at the
    end of the warm-up, and both factors are multiplied.

    Args:
        peak_learning_rate: highest learning rate; more than 0.
        total_steps: number of steps of the whole training, warm-up included.
        warmup_steps: number of steps of the linear warm-up; 0 for none.
        decay: "linear", "cosine" (to 0), "step" (divided by 10 after each of `decay_steps`, as in
            BiT-HyperRule) or "constant".
        final_fraction: last learning rate of "linear", as a fraction of the peak (paper: 1e-5).
        decay_steps: see `decay`.
    """

    def __init__(
        self,
        peak_learning_rate: float,
        total_steps: int,
        warmup_steps: int = 0,
        decay: str = "linear",
        final_fraction: float = 1e-5,
        decay_steps: Sequence[int] = (),
    ):
        self.peak_learning_rate = peak_learning_rate
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.decay = decay
        self.final_fraction = final_fraction
        self.decay_steps = tuple(decay_steps)

    def factor(self, step) -> tf.Tensor:
        """Returns the learning rate at `step` (from 0) as a fraction of the peak."""
        step = tf.cast(step, tf.float32)
        decay_steps = max(self.total_steps - self.warmup_steps, 1)
        progress = tf.clip_by_value((step - self.warmup_steps) / decay_steps, 0.0, 1.0)
        factor = self._decayed(step, progress)
        if self.warmup_steps:
            factor *= tf.minimum(1.0, step / self.warmup_steps)
        return factor

    def _decayed(self, step: tf.Tensor, progress: tf.Tensor) -> tf.Tensor:
        if self.decay == "linear":
            return self.final_fraction + (1 - self.final_fraction) * (1 - progress)
        if self.decay == "cosine":
            return 0.5 * (1 + tf.cos(math.pi * progress))
        if self.decay == "step":
            passed = tf.reduce_sum(
                tf.cast(step > tf.constant(self.decay_steps, step.dtype), step.dtype)
            )
            return tf.pow(tf.constant(0.1, step.dtype), passed)
        return tf.ones_like(progress)

    def __call__(self, step) -> tf.Tensor:
        return self.peak_learning_rate * self.factor(step)

    def get_config(self) -> dict:
        return {
            "peak_learning_rate": self.peak_learning_rate,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "decay": self.decay,
            "final_fraction": self.final_fraction,
            "decay_steps": list(self.decay_steps),
        }


class DecoupledWeightDecay(tf.keras.optimizers.Optimizer):
    """Base class: w ← w − η·update − weight_decay·(η/η_peak)·w, with the learning rate η.

    The decay is decoupled from the gradient. It follows the schedule, but is not multiplied by the
    peak learning rate (Keras' AdamW multiplies by it; that of tensorflow_addons ignores the
    schedule). The paper's Table 4 includes the learning rate: its 0.1 at a learning rate of 1e-3 is
    `weight_decay=1e-4` here. Only kernels decay, neither biases nor the scales of LayerNorm.

    Args:
        name: name of the optimizer.
        learning_rate: a WarmupDecay or a number.
        weight_decay: fraction of a kernel that is subtracted per step at the peak learning rate.
        rate_factors: name of a weight -> what η of this weight is multiplied by; 1 for others.
        momentum_dtype: type of the momentum buffers, "float32" or "bfloat16"; see `_momentum`.
    """

    def __init__(
        self,
        name: str,
        learning_rate,
        weight_decay: float,
        momentum_dtype: str = "float32",
        rate_factors: Mapping[str, float] | None = None,
        **kwargs,
    ):
        # Keras' default of 0 would subtract 0 from every weight in every step.
        super().__init__(name=name, weight_decay=None, **kwargs)
        self._rate_factors = dict(rate_factors or {})
        self._momentum_dtype = tf.as_dtype(momentum_dtype)
        is_schedule = isinstance(learning_rate, WarmupDecay)
        self.peak_learning_rate = (
            learning_rate.peak_learning_rate if is_schedule else float(learning_rate)
        )
        self._learning_rate = self._build_learning_rate(learning_rate)
        self._kernel_decay = weight_decay

    def build(self, var_list) -> None:
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._decays = [_is_kernel(variable) for variable in var_list]
        self._factors = [self._rate_factors.get(variable.name, 1.0) for variable in var_list]
        self._build_slots(var_list)
        self._built = True

    def update_step(self, gradient, variable) -> None:
        index = self._index_dict[self._var_key(variable)]
        learning_rate = tf.cast(self.learning_rate, variable.dtype) * self._factors[index]
        change = learning_rate * self._update(gradient, index)
        if self._kernel_decay and self._decays[index]:
            factor = learning_rate / self.peak_learning_rate
            change += self._kernel_decay * factor * variable
        variable.assign_sub(change)

    def _slots(self, var_list, name: str) -> list:
        return [self.add_variable_from_reference(variable, name) for variable in var_list]

    def _momentum_slots(self, var_list) -> list:
        if self._momentum_dtype == tf.float32:
            return self._slots(var_list, "m")
        return [self._momentum_slot(variable) for variable in var_list]

    def _momentum_slot(self, variable) -> tf.Variable:
        """Creates a slot as `add_variable_from_reference` does, of the type of the momentum."""
        zeros = tf.zeros(variable.shape, self._momentum_dtype)
        name = f"m/{variable._shared_name}"
        with tf.distribute.get_strategy().extended.colocate_vars_with(variable):
            slot = tf.Variable(zeros, trainable=False, name=name)
        self._variables.append(slot)
        return slot

    def _momentum(self, buffer, decay: float, addend) -> tf.Tensor:
        """Returns decay·buffer + addend, unrounded, and stores it in a buffer of 16 bits.

        As in optax (`accumulator_dtype`, `mu_dtype`), the product is computed in 16 bits. In
        bfloat16, a decay of 0.9 is 0.8984.
        """
        product = tf.cast(decay, buffer.dtype) * buffer
        momentum = tf.cast(product, addend.dtype) + addend
        buffer.assign(tf.cast(momentum, buffer.dtype))
        return momentum

    def _build_slots(self, var_list) -> None:
        raise NotImplementedError

    def _update(self, gradient, index: int) -> tf.Tensor:
        raise NotImplementedError

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "learning_rate": self._serialize_hyperparameter(self._learning_rate),
            "weight_decay": self._kernel_decay,
            "momentum_dtype": self._momentum_dtype.name,
            "rate_factors": self._rate_factors,
        }


def _is_kernel(variable) -> bool:
    return variable.name.split("/")[-1].split(":")[0] == "kernel"


@tf.keras.saving.register_keras_serializable(package="mixer_tf")
class Adam(DecoupledWeightDecay):
    """Adam with bias correction and epsilon outside the root: m̂ / (√v̂ + ε), ε = 1e-8.

    Keras' Adam includes the correction in the learning rate, so that its epsilon (1e-7) is scaled
    by √(1−β₂ᵗ) as well; for very small gradients the updates differ.
    """

    def __init__(
        self,
        learning_rate,
        weight_decay: float = 0.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        name: str = "adam",
        **kwargs,
    ):
        super().__init__(name, learning_rate, weight_decay, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def _build_slots(self, var_list) -> None:
        self._means = self._momentum_slots(var_list)
        self._squares = self._slots(var_list, "v")

    def _update(self, gradient, index: int) -> tf.Tensor:
        mean, square = self._means[index], self._squares[index]
        if mean.dtype == gradient.dtype:
            mean.assign_add((1 - self.beta_1) * (gradient - mean))
        else:
            mean = self._momentum(mean, self.beta_1, (1 - self.beta_1) * gradient)
        square.assign_add((1 - self.beta_2) * (tf.square(gradient) - square))
        step = tf.cast(self.iterations + 1, gradient.dtype)
        mean_scale = 1 / (1 - tf.pow(self.beta_1, step))
        square_scale = tf.math.rsqrt(1 - tf.pow(self.beta_2, step))
        return mean_scale * mean / (square_scale * tf.sqrt(square) + self.epsilon)

    def get_config(self) -> dict:
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


@tf.keras.saving.register_keras_serializable(package="mixer_tf")
class Momentum(DecoupledWeightDecay):
    """Momentum with the learning rate η outside the buffer: m ← μ·m + g; w ← w − η·m.

    Keras' SGD has it inside (m ← μ·m − η·g): the two differ while the learning rate changes.
    """

    def __init__(
        self,
        learning_rate,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        name: str = "momentum",
        **kwargs,
    ):
        super().__init__(name, learning_rate, weight_decay, **kwargs)
        self.momentum = momentum

    def _build_slots(self, var_list) -> None:
        self._buffers = self._momentum_slots(var_list)

    def _update(self, gradient, index: int) -> tf.Tensor:
        buffer = self._buffers[index]
        if buffer.dtype != gradient.dtype:
            return self._momentum(buffer, self.momentum, gradient)
        buffer.assign(self.momentum * buffer + gradient)
        return buffer.value()

    def get_config(self) -> dict:
        return {**super().get_config(), "momentum": self.momentum}


def warmup_notes(options: OptimizerOptions, total_steps: int) -> tuple[str, ...]:
    """Returns one line if the warmup of a recipe is shortened."""
    steps = _warmup_steps(options, total_steps)
    if steps == options.warmup_steps:
        return ()
    return (
        f"the warmup is {steps:,} steps long instead of {options.warmup_steps:,}, which would fill "
        f"the {total_steps:,} steps of the training (optimizer.warmup_steps).",
    )


def _warmup_steps(options: OptimizerOptions, total_steps: int) -> int:
    # Deviation: the authors do not shorten the warmup. It could be longer than a short training.
    return options.warmup_steps if options.warmup_steps < total_steps else total_steps // 4


def create(
    options: OptimizerOptions, total_steps: int, rate_factors: Mapping[str, float] | None = None
) -> tf.keras.optimizers.Optimizer:
    """Returns the optimizer of a recipe for `total_steps` steps.

    Args:
        options: of the recipe.
        total_steps: number of steps of the whole training.
        rate_factors: what `layer_rates.weight_factors` has returned; None for no factors.
    """
    schedule = WarmupDecay(
        options.learning_rate,
        total_steps,
        _warmup_steps(options, total_steps),
        options.schedule,
        options.final_fraction,
        options.decay_steps,
    )
    kwargs = {
        "learning_rate": schedule,
        "weight_decay": options.weight_decay,
        "rate_factors": rate_factors,
        # Deviation: the default is float32, where the authors fine-tune with bfloat16
        # (vit_jax/train.py `accumulator_dtype`).
        "momentum_dtype": options.momentum_dtype,
        "global_clipnorm": options.clip_norm,
        "use_ema": options.ema > 0,
        "ema_momentum": options.ema,
    }
    if options.name == "momentum":
        return Momentum(momentum=options.momentum, **kwargs)
    return Adam(beta_1=options.beta_1, beta_2=options.beta_2, epsilon=options.epsilon, **kwargs)
