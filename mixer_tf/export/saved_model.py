# SPDX-License-Identifier: Apache-2.0
"""Exports a trained model as a SavedModel that serves without mixer_tf.

`signatures.py` has the signatures. Beside them, `assets.extra` holds `recipe.json`,
`class_names.json`, the warm-up requests of TensorFlow Serving, and the trained model's answers to
them (see mixer_tf/export/warmup.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from scipy import special

from mixer_tf import factory, storage
from mixer_tf.export import check, warmup
from mixer_tf.export.signatures import ServedModel
from mixer_tf.features import ImageRecord
from mixer_tf.graph_optimization import graphs_as_written
from mixer_tf.images.preprocessing import decode_and_crop
from mixer_tf.models.base import ConfiguredModel
from mixer_tf.recipes.schema import Recipe
from mixer_tf.serving import contract
from mixer_tf.serving.contract import (
    CLASS_NAMES,
    EXAMPLES_SIGNATURE,
    FEATURES_SIGNATURE,
    PRE_LOGITS,
    PROBABILITIES,
)


def export_saved_model(
    model: ConfiguredModel, recipe: Recipe, class_names: Sequence[str], path: str
) -> None:
    """Writes `model` to a temporary folder, checks it there, and renames the folder to `path`.

    Args:
        model: the trained model, of any strategy and precision; it is served in float32.
        recipe: the recipe that it was trained with.
        class_names: names of the classes in label order.
        path: path of the SavedModel; an existing folder is replaced.

    Raises:
        FailedCheck: the export does not answer as `model` does.
        ValueError: TensorFlow would read the path as a pattern.
    """
    storage.require_literal(path, "the folder of a model")
    recipe = _exported(recipe, model)
    served = factory.for_export(recipe, len(class_names))
    served.set_weights(model.get_weights())
    module = ServedModel(served, recipe, class_names)

    with storage.replacing_folder(path) as partial:
        tf.saved_model.save(module, partial, signatures=module.functions)
        _write_assets(partial, served, recipe, class_names)
        # To optimize the graphs would take longer than to answer; ModelChecker does both.
        with graphs_as_written():
            check.check_answers(partial)


def _exported(recipe: Recipe, model: ConfiguredModel) -> Recipe:
    """Returns the recipe with the widths that the model has; upscaled weights are wider."""
    width = getattr(model.config, "tokens_mlp_dim", None)
    if width is None:  # only a Mixer has one
        return recipe
    return recipe.replace(model=recipe.model.replace(tokens_mlp_dim=width))


def _write_assets(
    folder: str, model: ConfiguredModel, recipe: Recipe, class_names: Sequence[str]
) -> None:
    requests = warmup.make_requests(recipe.model.image_size)
    expected = expected_outputs(model, recipe, class_names, requests)
    warmup.write(folder, requests, expected)
    texts = {
        contract.RECIPE_FILE: recipe.to_json(),
        contract.CLASS_NAMES_FILE: json.dumps(list(class_names), ensure_ascii=False),
    }
    for name, text in texts.items():
        storage.write_text(os.path.join(folder, contract.EXTRA_ASSETS, name), text)


def expected_outputs(
    model: ConfiguredModel,
    recipe: Recipe,
    class_names: Sequence[str],
    requests: Sequence[warmup.Request],
) -> list[dict[str, np.ndarray]]:
    """Returns the correct answers to requests; see `trained_answers`."""
    return [
        trained_answers(model, recipe, class_names, _pixels(request, recipe))[request.signature]
        for request in requests
    ]


def trained_answers(
    model: ConfiguredModel, recipe: Recipe, class_names: Sequence[str], pixels: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    """Returns the correct answers of all signatures, by Keras and numpy, not the exported graphs.

    Args:
        model: the model in float32.
        recipe: says how a logit becomes a probability.
        class_names: names of the classes in label order.
        pixels: decoded images, uint8 [N, S, S, 3].

    Returns:
        signature -> output -> array; the first axis is the image.
    """
    outputs = model.intermediates("pre_logits", "logits")(pixels, training=False)
    probabilities = _activate(outputs["logits"].numpy(), recipe.training.loss)
    best = _top(probabilities, class_names)
    return {
        contract.SERVING_SIGNATURE: best,
        contract.PIXELS_SIGNATURE: best,
        FEATURES_SIGNATURE: {PRE_LOGITS: outputs["pre_logits"].numpy()},
        EXAMPLES_SIGNATURE: {PROBABILITIES: probabilities},
    }


def _top(probabilities: np.ndarray, class_names: Sequence[str]) -> dict[str, np.ndarray]:
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, : contract.TOP_K]
    return {
        CLASS_NAMES: np.array(class_names)[order],
        PROBABILITIES: np.take_along_axis(probabilities, order, axis=1),
    }


def _pixels(request: warmup.Request, recipe: Recipe) -> np.ndarray:
    """Returns the images of a request, uint8 [N, S, S, 3], for any signature."""
    ((name, values),) = request.inputs.items()
    if name == contract.PIXELS:
        return values
    encoded = (
        [ImageRecord.from_example(v).encoded for v in values]
        if name == contract.EXAMPLES
        else values
    )
    crop, side = recipe.data.crop, recipe.model.image_size
    return np.stack([decode_and_crop(tf.constant(e), crop, side).numpy() for e in encoded])


def _activate(logits: np.ndarray, loss: str) -> np.ndarray:
    return special.expit(logits) if loss == "sigmoid" else special.softmax(logits, axis=1)
