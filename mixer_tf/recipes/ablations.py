# SPDX-License-Identifier: Apache-2.0
"""The variants of token mixing that the paper compares in supplement A.1.

    mixer train --recipe ablation_channel_views --source tfrecord:/data/train-* --strategy tpu

`mixer study ablations` makes the same changes to another recipe.

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

from mixer_tf.models.mixer_config import MixerConfig
from mixer_tf.recipes import pretrain
from mixer_tf.recipes.schema import Recipe

_BASE = next(recipe for recipe in pretrain.RECIPES if recipe.name == "pretrain_jft_s32")
_GROUPS = 2
SUMMARIES = {
    "untied": "a separate token-mixing MLP for each channel",
    "channel_groups": f"groups of {_GROUPS} channels",
    "channel_views": f"{_GROUPS} learned views of each token",
    "pyramid": "half of the tokens after half of the blocks",
}


def ablated(recipe: Recipe, name: str) -> Recipe:
    """Returns the recipe with one of the changes of `SUMMARIES`.

    Raises:
        ValueError, TypeError: the model is not a Mixer with the paper's token mixing, or the change
            is not possible, such as groups of 2 of an odd number of channels.
    """
    config = recipe.model.config(num_classes=1)
    if not isinstance(config, MixerConfig) or config.ablations:
        raise ValueError(
            "the recipe must have a Mixer without ablations; got the model "
            f"{recipe.model.name!r}{_with(config)}. Choose another recipe."
        )
    fields = {
        "untied": {"untied": True},
        "channel_groups": {"channel_groups": _GROUPS},
        "channel_views": {"channel_groups": _GROUPS, "channel_views": True},
        "pyramid": {"pyramid": _pyramid(config)},
    }
    return recipe.replace(model=recipe.model.replace(**fields[name]))


def _with(config) -> str:
    ablations = getattr(config, "ablations", ())
    return f" with {', '.join(ablations)}" if ablations else ""


def _pyramid(config: MixerConfig) -> tuple[int, ...]:
    """The first half of the blocks gets all tokens, and the last of these returns half of them."""
    tokens, blocks = config.num_tokens, config.num_blocks
    if tokens < 2:
        raise ValueError(f"a pyramid requires at least 2 patches; the model has {tokens}.")
    unchanged = max(blocks // 2 - 1, 0)
    return (tokens,) * unchanged + (tokens // 2,) * (blocks - unchanged)


RECIPES = tuple(
    dataclasses.replace(
        ablated(_BASE, name),
        name=f"ablation_{name}",
        summary=f"Supplement A.1 on mixer_s32: {summary}.",
    )
    for name, summary in SUMMARIES.items()
)
