# SPDX-License-Identifier: Apache-2.0
"""FewShotEvaluator: linear probes of a trained model on a few images of each class.

The component is imported on first use, so that Beam's workers, which need only `transforms`, do not
import TFX.
"""

__all__ = ["FewShotEvaluator"]


def __getattr__(name: str):
    if name != "FewShotEvaluator":
        raise AttributeError(f"module {__name__} has no attribute {name!r}; it has {__all__}")
    from components.few_shot_evaluator.component import FewShotEvaluator

    return FewShotEvaluator
