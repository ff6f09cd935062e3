# SPDX-License-Identifier: Apache-2.0
"""The hook that TFX calls for the extractors of TFMA; it adds the one that keeps the mistakes.

TFX reloads this module before the call, so that it must hold no state.
"""

from __future__ import annotations

import tensorflow_model_analysis as tfma

from components.evaluator import transforms


def make_extractors(
    eval_shared_model, eval_config: tfma.EvalConfig, tensor_adapter_config
) -> list[tfma.extractors.Extractor]:
    """Returns TFMA's extractors, and then ours; see `transforms.keeping_mistakes`.

    Args:
        eval_shared_model: one model, or the model and its baseline.
        eval_config: with TFMA's defaults filled in.
        tensor_adapter_config: see TFMA.
    """
    extractors = tfma.default_extractors(
        eval_shared_model=eval_shared_model,
        eval_config=eval_config,
        tensor_adapter_config=tensor_adapter_config,
    )
    return [*extractors, transforms.make_extractor(eval_config)]


# The value of TFX's execution property "custom_extractors".
PATH = f"{__name__}.{make_extractors.__name__}"
