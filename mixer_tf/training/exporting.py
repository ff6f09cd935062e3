# SPDX-License-Identifier: Apache-2.0
"""From the result of a training to the exported model, after which checkpoints are removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mixer_tf.export import saved_model
from mixer_tf.training.trainer import Fitted


def export_fitted(
    fitted: Fitted,
    class_names: Sequence[str],
    path: str,
    exported: Callable[[], None] | None = None,
    *,
    keep_checkpoints: bool = False,
) -> None:
    """Exports the best weights to the SavedModel `path`; of several workers, only the chief does.

    The checkpoints are removed last, so that a run which is killed before only has to export again.

    Args:
        fitted: the result of a training.
        class_names: one name per label.
        path: the folder of the model.
        exported: called between the export and the removal of the checkpoints; None for nothing.
        keep_checkpoints: whether they stay, for a model that is published later.

    Raises:
        FailedCheck: the export does not answer as the trained model does.
    """
    if not fitted.is_chief:
        return
    saved_model.export_saved_model(fitted.model, fitted.recipe, class_names, path)
    if exported:
        exported()
    if not keep_checkpoints:
        fitted.discard_checkpoints()
