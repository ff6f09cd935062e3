# SPDX-License-Identifier: Apache-2.0
"""Independent reference networks in numpy (float64); weights have their Keras names."""

from __future__ import annotations

import numpy as np


class NumpyModel:
    """The operations that the networks share; counts multiply-adds while computing."""

    def __init__(self, weights: dict[str, np.ndarray]):
        self.weights = {name: value.astype(np.float64) for name, value in weights.items()}
        self.multiply_adds = 0

    def patches(self, image, size):
        """[N, H, W, 3] -> [N, S, size·size·3]."""
        n, height, width, _ = image.shape
        grid = image.reshape(n, height // size, size, width // size, size, 3)
        return grid.transpose(0, 1, 3, 2, 4, 5).reshape(n, -1, size * size * 3)

    def product(self, x, kernel):
        kernel = kernel.reshape(-1, kernel.shape[-1])
        self.multiply_adds += x.size * kernel.shape[1]
        return x @ kernel

    def dense(self, x, name, j=...):
        kernel, bias = self.weights[f"{name}/kernel"][j], self.weights[f"{name}/bias"][j]
        return self.product(x, kernel) + bias

    def mlp(self, x, name, j=...):
        y = self.dense(x, f"{name}/Dense_0", j)
        y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
        return self.dense(y, f"{name}/Dense_1", j)

    def norm(self, x, name):
        centered = x - x.mean(axis=-1, keepdims=True)
        y = centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-6)
        return y * self.weights[f"{name}/gamma"] + self.weights[f"{name}/beta"]

    def head(self, x):
        return self.dense(x, "head") if "head/kernel" in self.weights else x


class NumpyMixer(NumpyModel):
    """The equations of arXiv:2105.01601, with the ablations of supplement A.1."""

    def __init__(self, weights, patch_size: int, groups: int = 1):
        super().__init__(weights)
        self.patch_size = patch_size
        self.groups = groups

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        x = self.dense(self.patches(pixels / 127.5 - 1, self.patch_size), "stem")
        i = 0
        while f"MixerBlock_{i}/LayerNorm_0/gamma" in self.weights:
            block = f"MixerBlock_{i}"
            y = self.mix_tokens(self.norm(x, f"{block}/LayerNorm_0"), f"{block}/token_mixing")
            x = x + y if x.shape == y.shape else y
            x = x + self.mlp(self.norm(x, f"{block}/LayerNorm_1"), f"{block}/channel_mixing")
            i += 1
        return self.head(self.norm(x, "pre_head_layer_norm").mean(axis=1))

    def mix_tokens(self, x, name):
        """Applies a shared or a separate MLP to each column of G channels or views."""
        if f"{name}/views/kernel" in self.weights:
            views = self.weights[f"{name}/views/kernel"]
            parts = [self.product(x, views[:, g :: self.groups]) for g in range(self.groups)]
        else:
            parts = [x[:, :, g :: self.groups] for g in range(self.groups)]
        columns = np.concatenate(parts, axis=1).transpose(2, 0, 1)  # [C/G, N, S·G]
        untied = self.weights[f"{name}/Dense_0/kernel"].ndim == 3
        mixed = [self.mlp(y, name, j if untied else ...) for j, y in enumerate(columns)]
        parts = np.split(np.stack(mixed, axis=-1), self.groups, axis=1)  # G of [N, S', C/G]
        return np.stack(parts, axis=-1).reshape(*parts[0].shape[:2], -1)  # [N, S', C]


class NumpyViT(NumpyModel):
    """The equations of arXiv:2010.11929."""

    def __init__(self, weights, patch_size: int, num_heads: int):
        super().__init__(weights)
        self.patch_size = patch_size
        self.num_heads = num_heads

    def __call__(self, pixels):
        x = self.dense(self.patches(pixels / 127.5 - 1, self.patch_size), "embedding")
        token = self.weights.get("class_token/cls")
        if token is not None:
            x = np.concatenate([np.repeat(token, len(x), axis=0), x], axis=1)
        x = x + self.weights["posembed_input/pos_embedding"]
        i = 0
        while f"encoderblock_{i}/LayerNorm_0/gamma" in self.weights:
            x = self.block(x, f"encoderblock_{i}")
            i += 1
        x = self.norm(x, "encoder_norm")
        x = x.mean(axis=1) if token is None else x[:, 0]
        if "pre_logits/kernel" in self.weights:
            x = np.tanh(self.dense(x, "pre_logits"))
        return self.head(x)

    def block(self, x, name):
        y = self.norm(x, f"{name}/LayerNorm_0")
        x = x + self.attention(y, f"{name}/MultiHeadDotProductAttention_1")
        return x + self.mlp(self.norm(x, f"{name}/LayerNorm_2"), f"{name}/MlpBlock_3")

    def attention(self, x, name):
        query, key, value = (self.dense(x, f"{name}/{part}") for part in ("query", "key", "value"))
        width = x.shape[-1] // self.num_heads
        heads = []
        for head in range(self.num_heads):
            part = slice(head * width, (head + 1) * width)
            scores = query[..., part] @ key[..., part].swapaxes(1, 2) / np.sqrt(width)
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            weights /= weights.sum(axis=-1, keepdims=True)
            heads.append(weights @ value[..., part])
            self.multiply_adds += 2 * scores.size * width
        return self.dense(np.concatenate(heads, axis=-1), f"{name}/out")


class NumpyBiT(NumpyModel):
    """ResNet-v2 of arXiv:1912.11370, convolution by convolution."""

    def __init__(self, weights, num_groups: int):
        super().__init__(weights)
        self.num_groups = num_groups

    def __call__(self, pixels):
        x = self.conv(pixels / 127.5 - 1, "root_block", stride=2)
        x = self.windows(x, size=3, stride=2).max(axis=(3, 4))
        block = 1
        while f"block{block}/unit01/a/group_norm/gamma" in self.weights:
            unit = 1
            while f"block{block}/unit{unit:02d}/a/group_norm/gamma" in self.weights:
                stride = 2 if block > 1 and unit == 1 else 1
                x = self.unit(x, f"block{block}/unit{unit:02d}", stride)
                unit += 1
            block += 1
        return self.head(np.maximum(self.group_norm(x, "group_norm"), 0).mean(axis=(1, 2)))

    def unit(self, x, name, stride):
        y = np.maximum(self.group_norm(x, f"{name}/a/group_norm"), 0)
        if f"{name}/a/proj/standardized_conv2d/kernel" in self.weights:
            x = self.conv(y, f"{name}/a/proj", stride)
        y = np.maximum(self.group_norm(self.conv(y, f"{name}/a"), f"{name}/b/group_norm"), 0)
        y = self.group_norm(self.conv(y, f"{name}/b", stride), f"{name}/c/group_norm")
        return x + self.conv(np.maximum(y, 0), f"{name}/c")

    def conv(self, x, name, stride=1):
        kernel = self.weights[f"{name}/standardized_conv2d/kernel"]
        flat = kernel.reshape(-1, kernel.shape[-1])
        flat = (flat - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0) + 1e-10)
        windows = self.windows(x, len(kernel), stride)
        self.multiply_adds += windows.size * flat.shape[1]
        return np.einsum("nhwrci,rcio->nhwo", windows, flat.reshape(kernel.shape))

    def windows(self, x, size, stride):
        """[N, H, W, C] -> [N, H/stride, W/stride, size, size, C], with zeros around the image."""
        border = (size - 1) // 2
        x = np.pad(x, [(0, 0), (border, border), (border, border), (0, 0)])
        rows = range(0, x.shape[1] - size + 1, stride)
        columns = range(0, x.shape[2] - size + 1, stride)
        return np.stack(
            [np.stack([x[:, r : r + size, c : c + size] for c in columns], 1) for r in rows], 1
        )

    def group_norm(self, x, name):
        channels = x.shape[-1] // self.num_groups
        groups = []
        for start in range(0, x.shape[-1], channels):
            group = x[..., start : start + channels]
            centered = group - group.mean(axis=(1, 2, 3), keepdims=True)
            variance = (centered**2).mean(axis=(1, 2, 3), keepdims=True)
            groups.append(centered / np.sqrt(variance + 1e-5))
        y = np.concatenate(groups, axis=-1)
        return y * self.weights[f"{name}/gamma"] + self.weights[f"{name}/beta"]
