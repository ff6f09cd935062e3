# SPDX-License-Identifier: Apache-2.0
"""An independent Mixer in numpy (float64), against which the Keras one is measured."""

from __future__ import annotations

import numpy as np
import pytest


class NumpyMixer:
    """The paper's equations on a dictionary of weights; counts its multiply-adds as it goes."""

    def __init__(self, weights: dict[str, np.ndarray], patch_size: int, groups: int = 1):
        self.weights = {name: value.astype(np.float64) for name, value in weights.items()}
        self.patch_size = patch_size
        self.groups = groups
        self.multiply_adds = 0

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        x = self.product(self.patches(pixels / 127.5 - 1), self.weights["stem/kernel"])
        x = x + self.weights["stem/bias"]
        i = 0
        while f"MixerBlock_{i}/LayerNorm_0/gamma" in self.weights:
            block = f"MixerBlock_{i}"
            y = self.mix_tokens(self.norm(x, f"{block}/LayerNorm_0"), f"{block}/token_mixing")
            x = x + y if x.shape == y.shape else y
            x = x + self.mlp(self.norm(x, f"{block}/LayerNorm_1"), f"{block}/channel_mixing")
            i += 1
        x = self.norm(x, "pre_head_layer_norm").mean(axis=1)
        return self.dense(x, "head") if "head/kernel" in self.weights else x

    def mix_tokens(self, x, name):
        """Columns of G channels or views, one below the other, through one MLP or each its own."""
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

    def patches(self, image):
        n, height, width, _ = image.shape
        p = self.patch_size
        grid = image.reshape(n, height // p, p, width // p, p, 3).transpose(0, 1, 3, 2, 4, 5)
        return grid.reshape(n, -1, p * p * 3)

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
        centred = x - x.mean(axis=-1, keepdims=True)
        y = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
        return y * self.weights[f"{name}/gamma"] + self.weights[f"{name}/beta"]


@pytest.fixture
def numpy_mixer():
    """NumpyMixer(weights by name, patch_size, groups)(pixels) -> logits."""
    return NumpyMixer


@pytest.fixture
def weights_by_name():
    """A function: the weights of a Keras model or layer as {name: array}."""

    def weights(model) -> dict[str, np.ndarray]:
        return {variable.name.removesuffix(":0"): variable.numpy() for variable in model.weights}

    return weights


@pytest.fixture
def randomize():
    """A function: gives every weight of a model a random value, also those that start at zero."""

    def randomize(model, scale=0.3, seed=0):
        rng = np.random.default_rng(seed)
        for weight in model.weights:
            weight.assign(scale * rng.standard_normal(weight.shape, np.float32))
        return model

    return randomize


@pytest.fixture
def tiny():
    """Dimensions of a Mixer that computes in milliseconds: not square, no two widths alike."""
    return dict(
        image_size=(12, 16),
        patch_size=4,
        num_blocks=3,
        hidden_dim=8,
        tokens_mlp_dim=10,
        channels_mlp_dim=14,
        num_classes=5,
    )


@pytest.fixture
def pixels():
    """Three images of the size of `tiny`: uint8 [3, 12, 16, 3]."""
    return np.random.default_rng(1).integers(0, 256, (3, 12, 16, 3), dtype=np.uint8)
