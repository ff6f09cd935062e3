# SPDX-License-Identifier: Apache-2.0
"""Pre-training of the ViT and BiT models that the paper compares with Mixer (Tables 2 and 3).

    mixer train --recipe pretrain_jft_vit_l16 --source tfrecord:/data/train-* --strategy tpu

Cost: the paper's, in TPUv3 core-days on JFT-300M: ViT-L/16 650, ViT-H/14 2,300; BiT-R50x1 80,
BiT-R152x1 and R50x2 140, BiT-R152x2 580. Result: unmeasured here; the paper's are in `mixer info`.

The learning rates and weight decays are those of the ViT paper (arXiv:2010.11929, Table 3), which
also trained the BiT models with Adam. Loss, head bias and crops are those of the Mixer recipes.
Hyperparameters of BiT-R200x3, and of the regularized ViT models on ImageNet, were not published.
"""

from __future__ import annotations

from mixer_tf.recipes import pretrain

# Name, model, epochs, learning rate, weight decay.
_TABLE = (
    ("vit_b16", "vit_b16", 7, 8e-4, 0.1),
    ("vit_l16", "vit_l16", 14, 4e-4, 0.1),
    ("vit_h14", "vit_h14", 14, 3e-4, 0.1),
    ("bit_r50x1", "bit_r50x1", 7, 1e-3, 0.1),
    ("bit_r152x1", "bit_r152x1", 7, 6e-4, 0.1),
    ("bit_r50x2", "bit_r50x2", 7, 1e-3, 0.1),
    ("bit_r152x2", "bit_r152x2", 14, 6e-4, 0.1),
)

RECIPES = tuple(pretrain.jft(*row) for row in _TABLE)
