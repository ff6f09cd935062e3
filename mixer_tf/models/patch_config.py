# SPDX-License-Identifier: Apache-2.0
"""PatchConfig: what the configurations of Mixer and ViT derive from their fields. No TensorFlow."""

from __future__ import annotations


class PatchConfig:
    """The base of the configurations of networks of equal blocks on patches of the image."""

    image_size: tuple[int, int]
    patch_size: int
    num_blocks: int
    stochastic_depth: float

    @property
    def grid(self) -> tuple[int, int]:
        """The number of rows and of columns of patches."""
        height, width = self.image_size
        return height // self.patch_size, width // self.patch_size

    @property
    def num_patches(self) -> int:
        """The number of patches of an image."""
        rows, columns = self.grid
        return rows * columns

    def drop_rate(self, block: int) -> float:
        """Returns the probability that a block is dropped: 0 for the first, s for the last."""
        return block / max(self.num_blocks - 1, 1) * self.stochastic_depth
