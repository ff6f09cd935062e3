# SPDX-License-Identifier: Apache-2.0
import pytest
from test_vit import NumpyViT

from mixer_tf.models import vit_config
from mixer_tf.models.vit import VisionTransformer
from mixer_tf.models.vit_config import ViTConfig

# With 1000 classes at 224 pixels: vit_jax/models_test.py of google-research/vision_transformer.
AUTHORS = {
    "vit_ti16": 5_717_416,
    "vit_s32": 22_878_952,
    "vit_s16": 22_050_664,
    "vit_b32": 88_224_232,
    "vit_b16": 86_567_656,
    "vit_b8": 86_576_872,
    "vit_l32": 306_535_400,
    "vit_l16": 304_326_632,
    "vit_h14": 632_045_800,
}
AUTHORS_GAP = {"vit_s16": 22_049_896, "vit_s32": 22_878_184, "vit_b16": 86_566_120}
