# SPDX-License-Identifier: Apache-2.0
"""The variants of token mixing that the paper compares in supplement A.1.

    mixer train --recipe ablation_channel_views --source tfrecord:/data/train-* --strategy tpu

Each is the pre-training of Mixer-S/32 on JFT-300M with one change; `pretrain_jft_s32` is what they
are compared with. Cost, calculated from multiply-adds relative to the 10 core-days of Mixer-S/32: 7
to 11 core-days. Result: unmeasured here. In the paper, separate MLPs for each channel brought
nothing, groups of channels less than 1 to 2 % of 5-shot accuracy, learned views 3 to 4 % for this
model only, and a pyramid shorter training on JFT-300M but not on ImageNet.

Deviation: the paper states neither G, here 2, nor the numbers of tokens of the pyramid, here 24
after half of the blocks.
"""

from __future__ import annotations

import dataclasses

from mixer_tf.recipes import pretrain

_BASE = next(recipe for recipe in pretrain.RECIPES if recipe.name == "pretrain_jft_s32")
_GROUPS = 2
_PYRAMID = (49, 49, 49, 24, 24, 24, 24, 24)


def _variant(name: str, change: str, **fields):
    return dataclasses.replace(
        _BASE,
        name=f"ablation_{name}",
        summary=f"Supplement A.1 on mixer_s32: {change}.",
        model=_BASE.model.replace(**fields),
    )


RECIPES = (
    _variant("untied", "a separate token-mixing MLP for each channel", untied=True),
    _variant("channel_groups", "groups of 2 channels", channel_groups=_GROUPS),
    _variant(
        "channel_views",
        "2 learned views of each token",
        channel_groups=_GROUPS,
        channel_views=True,
    ),
    _variant("pyramid", "half of the tokens after half of the blocks", pyramid=_PYRAMID),
)
