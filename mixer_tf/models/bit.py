# SPDX-License-Identifier: Apache-2.0
"""BiT (Big Transfer, arXiv:1912.11370), the CNN baseline of the Mixer paper, from pixels to logits.

ResNet-v2 with GroupNorm and weight standardization. Layers have the names of the authors' .npz
files without the prefix `resnet/`. Sources: google-research/big_transfer, bit_tf2/models.py and
bit_jax/models.py, which also scale images to [-1, 1]. N images of H x W pixels, C channels.
"""

from __future__ import annotations

import tensorflow as tf
from tensorflow import keras

from mixer_tf.models.base import ConfiguredModel, classification_head
from mixer_tf.models.bit_config import EXPANSION, BiTConfig, Unit
from mixer_tf.models.layers import Dropout, Layer, Rescale, StochasticDepth, serializable
from mixer_tf.models.recomputation import recomputed

_KERNEL_EPSILON = 1e-10
_NORM_EPSILON = 1e-5


@serializable
class StandardizedConv2D(keras.layers.Conv2D):
    """Convolution whose filters are standardized to mean 0 and variance 1 (arXiv:1903.10520).

    The image is padded with half the kernel size of zeros on each of its four sides; TensorFlow's
    "same" pads differently at stride 2. No bias.

    Shape: [N, H, W, C] -> [N, ⌈H/strides⌉, ⌈W/strides⌉, filters].
    """

    def __init__(self, filters: int, kernel_size, strides=1, **kwargs):
        options = dict(padding="same", use_bias=False, kernel_initializer="lecun_normal")  # Flax's
        super().__init__(filters, kernel_size, strides, **{**options, **kwargs})

    def convolution_op(self, inputs, kernel):
        exact = tf.cast(kernel, self.variable_dtype)
        mean, variance = tf.nn.moments(exact, axes=(0, 1, 2), keepdims=True)
        exact = (exact - mean) / tf.sqrt(variance + _KERNEL_EPSILON)
        rows, columns = (side // 2 for side in self.kernel_size)
        borders = [(0, 0), (rows, rows), (columns, columns), (0, 0)]
        if inputs.dtype.size == 2:
            return _convolve_in_16_bits(inputs, exact, self.strides, borders)
        return tf.nn.conv2d(inputs, tf.cast(exact, inputs.dtype), self.strides, borders)


def _convolve_in_16_bits(x, kernel, strides, borders):
    """`tf.nn.conv2d` of x in 16 bits, with the gradient of the kernel in float32.

    Standardization removes most of that gradient: the mean, and what is parallel to the kernel.
    After rounding to bfloat16, the rest was off by up to 19 %.
    """
    options = dict(
        strides=[1, *strides, 1],
        padding="EXPLICIT",
        explicit_paddings=[side for pair in borders for side in pair],
    )

    @tf.custom_gradient
    def convolve(x, kernel):
        rounded = tf.cast(kernel, x.dtype)

        def gradient(upstream):
            for_x = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x), filter=rounded, out_backprop=upstream, **options
            )
            for_kernel = tf.raw_ops.Conv2DBackpropFilter(
                input=tf.cast(x, kernel.dtype),
                filter_sizes=kernel.shape,
                out_backprop=tf.cast(upstream, kernel.dtype),
                **options,
            )
            return for_x, for_kernel

        return tf.nn.conv2d(x, rounded, strides, borders), gradient

    return convolve(x, kernel)


@serializable
class GroupNorm(Layer):
    """Normalizes groups of channels to mean 0, variance 1; then scale, shift (arXiv:1803.08494).

    It should compute in full precision, since it averages over the whole image.

    Shape: [N, H, W, C] -> [N, H, W, C].

    Args:
        num_groups: number of groups, a divisor of C.
    """

    def __init__(self, num_groups: int, **kwargs):
        super().__init__(**kwargs)
        self.num_groups = num_groups

    def build(self, input_shape):
        self.gamma = self.add_weight("gamma", input_shape[-1:], initializer="ones")
        self.beta = self.add_weight("beta", input_shape[-1:], initializer="zeros")
        super().build(input_shape)

    def call(self, x):
        *positions, channels = x.shape[1:]
        groups = (self.num_groups, channels // self.num_groups)
        y = tf.reshape(x, (-1, *positions, *groups))  # [N, H, W, groups, C/groups]
        y = y - _group_mean(y)
        y = y / tf.sqrt(_group_mean(tf.square(y)) + _NORM_EPSILON)
        return tf.reshape(y, (-1, *positions, channels)) * self.gamma + self.beta


def _group_mean(x):
    """[N, H, W, groups, C/groups] -> [N, 1, 1, groups, 1].

    One axis after the other: a single reduction, as in keras.layers.GroupNormalization, has a ten
    times larger rounding error in float32.
    """
    for axis in (4, 2, 1):
        x = tf.reduce_mean(x, axis, keepdims=True)
    return x


@serializable
class RootBlock(Layer):
    """A 7x7 convolution and max pooling, each with stride 2.

    Pooling pads with zeros. As there is no ReLU before it, they can be the maximum.

    Shape: [N, H, W, 3] -> [N, ⌈⌈H/2⌉/2⌉, ⌈⌈W/2⌉/2⌉, width].
    """

    def __init__(self, width: int, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.conv = StandardizedConv2D(
            width, 7, 2, name="standardized_conv2d", dtype=self.dtype_policy
        )

    def call(self, x):
        x = tf.pad(self.conv(x), [(0, 0), (1, 1), (1, 1), (0, 0)])
        return tf.nn.max_pool2d(x, ksize=3, strides=2, padding="VALID")


@serializable
class BottleneckUnit(Layer):
    """Y = shortcut(X) + c(b(a(X))), where a, b and c start with GroupNorm and ReLU.

    a and c are 1x1 convolutions, b is 3x3 and has the stride. If the shape changes, the shortcut is
    a 1x1 convolution of the output of a's ReLU; otherwise it is X.

    Shape: [N, H, W, C] -> [N, ⌈H/stride⌉, ⌈W/stride⌉, 4·channels].

    Args:
        channels: number of output channels of a and b.
        stride: stride of b and of the shortcut.
        num_groups: see `GroupNorm`.
        drop_rate, drop_rescaled: see `StochasticDepth`.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        num_groups: int = 32,
        drop_rate: float = 0.0,
        drop_rescaled: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.channels, self.stride, self.num_groups = channels, stride, num_groups
        self.drop_rate, self.drop_rescaled = drop_rate, drop_rescaled
        self.outputs = EXPANSION * channels

        self.norm_a, self.norm_b, self.norm_c = (
            GroupNorm(num_groups, name=f"{part}/group_norm", dtype=self.variable_dtype)
            for part in "abc"
        )
        self.conv_a = self._conv(channels, 1, 1, "a")
        self.conv_b = self._conv(channels, 3, stride, "b")
        self.conv_c = self._conv(self.outputs, 1, 1, "c")
        self.conv_proj = None
        self.maybe_drop = StochasticDepth(drop_rate, drop_rescaled, dtype=self.dtype_policy)

    def build(self, input_shape):
        if self.stride > 1 or input_shape[-1] != self.outputs:
            self.conv_proj = self._conv(self.outputs, 1, self.stride, "a/proj")
        super().build(input_shape)

    def _conv(self, filters, kernel_size, strides, part):
        name, dtype = f"{part}/standardized_conv2d", self.dtype_policy
        return StandardizedConv2D(filters, kernel_size, strides, name=name, dtype=dtype)

    @recomputed
    def call(self, x, training=None):
        y = tf.nn.relu(self.norm_a(x))
        shortcut = self.conv_proj(y) if self.conv_proj else x
        y = self.conv_a(y)  # [N, H, W, channels]
        y = self.conv_b(tf.nn.relu(self.norm_b(y)))  # [N, ⌈H/stride⌉, ⌈W/stride⌉, channels]
        y = self.conv_c(tf.nn.relu(self.norm_c(y)))  # [N, ⌈H/stride⌉, ⌈W/stride⌉, 4·channels]
        return shortcut + self.maybe_drop(y, training=training)


@serializable
class ResidualBlock(keras.layers.Layer):
    """A sequence of bottleneck units; the first may have a stride.

    Shape: [N, H, W, C] -> [N, ⌈H/stride⌉, ⌈W/stride⌉, 4·channels].

    Args:
        units: the options of each unit; see `BottleneckUnit`.
    """

    def __init__(self, units: list[dict], **kwargs):
        super().__init__(**kwargs)
        self.unit_options = units
        self.units = [
            BottleneckUnit(**options, name=f"unit{i:02d}", dtype=self.dtype_policy)
            for i, options in enumerate(units, start=1)
        ]

    def call(self, x, training=None):
        for unit in self.units:
            x = unit(x, training=training)
        return x

    def get_config(self):
        return {**super().get_config(), "units": [dict(unit) for unit in self.unit_options]}


@serializable
class BiTResNet(ConfiguredModel):
    """BiT ResNet-v2: pixel values 0 to 255 in, logits out.

    Shape: uint8 or float [N, H, W, 3] -> [N, num_classes], or [N, features] with 0 classes.

    Intermediates: "root_block", "block1" …, "group_norm", "pre_logits" and, with classes,
    "logits".
    """

    config_class = BiTConfig

    @classmethod
    def build_graph(cls, pixels, config: BiTConfig, policy) -> dict[str, object]:
        layers = keras.layers
        full_precision = policy.variable_dtype  # float32 if the policy is mixed
        out = {}
        x = Rescale(dtype=full_precision)(pixels)
        x = out["root_block"] = RootBlock(config.width, name="root_block", dtype=policy)(x)
        for b in range(1, len(config.num_units) + 1):
            units = [_options(unit, config) for unit in config.units() if unit.block == b]
            x = out[f"block{b}"] = ResidualBlock(units, name=f"block{b}", dtype=policy)(x)
        x = out["group_norm"] = GroupNorm(
            config.num_groups, name="group_norm", dtype=full_precision
        )(x)
        x = layers.ReLU(name="relu", dtype=full_precision)(x)  # [N, H, W, C]
        x = out["pre_logits"] = layers.GlobalAveragePooling2D(
            name="pre_logits", dtype=full_precision
        )(x)  # [N, C]
        x = Dropout(config.dropout, name="dropout", dtype=full_precision)(x)
        if config.num_classes:
            out["logits"] = classification_head(config, full_precision)(x)  # [N, num_classes]
        return out


def _options(unit: Unit, config: BiTConfig) -> dict[str, object]:
    return dict(
        channels=unit.channels,
        stride=unit.stride,
        num_groups=config.num_groups,
        drop_rate=unit.drop_rate,
        drop_rescaled=config.stochastic_depth_rescaled,
    )
