# SPDX-License-Identifier: Apache-2.0
"""From the result of a training to the exported model; then the checkpoints are removed."""

from __future__ import annotations

from collections.abc import Sequence

from mixer_tf.export import saved_model
from mixer_tf.training.trainer import Fitted


def export_fitted(fitted: Fitted, class_names: Sequence[str], path: str) -> None:
    """Exports the best weights to the SavedModel `path`; of several workers, only the chief does.

    The checkpoints are removed last, so that a run which is killed during the export only has to
    export again.

    Raises:
        FailedCheck: the export does not answer as the trained model does.
    """
    if fitted.is_chief:
        saved_model.export_saved_model(fitted.model, fitted.recipe, class_names, path)
        fitted.discard_checkpoints()
