# SPDX-License-Identifier: Apache-2.0
"""The contract of Evaluator: that of TFX's component; only its executor differs."""

from __future__ import annotations

from tfx.components.evaluator import component
from tfx.dsl.components.base import executor_spec

from components.evaluator.executor import Executor


class Evaluator(component.Evaluator):
    """Evaluates a model with TFMA, blesses it or not, and writes a page for people.

    `evaluation.html` in the ModelEvaluation artifact has plots of the calibration and the confusion
    matrix, the classes, the most confident and the worst mistakes with their images, and, where
    duplicates are marked, the images with and without a duplicate in training. `evaluation.json`
    has the same numbers, of all classes, and `mistakes.jsonl` the mistakes. They are there whether
    the model is blessed or not.

    A `module_file` of the user takes the place of our hook in TFX, so that no mistakes are kept.

    ```
    evaluator = Evaluator(
        examples=preprocessor.outputs["preprocessed_examples"],
        model=trainer.outputs["model"],
        eval_config=make_eval_config(min_accuracy=None, max_accuracy_drop=0.02),
        example_splits=["test"],
    )
    ```
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
