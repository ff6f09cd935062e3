# SPDX-License-Identifier: Apache-2.0
"""The study of input order: correct answers are counted, a Mixer learns from shuffled images."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.figure import Figure
from PIL import Image

from mixer_tf import factory, recipes
from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.evaluation.batches import image_batches
from mixer_tf.export import saved_model
from mixer_tf.export.loading import Export, open_export
from mixer_tf.features import ImageRecord
from mixer_tf.models import MlpMixer, registry
from mixer_tf.models.bit_config import BiTConfig
from mixer_tf.studies import input_order, permutation, permutation_plot
from mixer_tf.studies.input_order import BOTH, GIVEN, GLOBAL, ORDERS, PATCHES, PIXELS
from mixer_tf.training.input.split import open_splits

SIZE, PATCH = (8, 8), 4
RECIPE = recipes.get("digits").override(
    [
        *("model.image_size=8", "model.num_blocks=1", "model.hidden_dim=8"),
        *("model.tokens_mlp_dim=4", "model.channels_mlp_dim=8", "data.shift=0", "data.rotate=0"),
        *("training.epochs=6", "training.batch_size=16", "optimizer.learning_rate=0.02"),
        *("optimizer.warmup_steps=0", "optimizer.ema=0.5"),
    ]
)


def make_image(index: int) -> np.ndarray:
    """An image that is brighter in its upper half (even index) or in its lower half."""
    image = np.random.default_rng(index).integers(0, 60, (*SIZE, 3), dtype=np.uint8)
    half = slice(0, 4) if index % 2 == 0 else slice(4, 8)
    image[half] += 150
    return image


@pytest.fixture(scope="module")
def model() -> MlpMixer:
    created = MlpMixer(
        image_size=SIZE,
        patch_size=PATCH,
        num_blocks=2,
        hidden_dim=8,
        tokens_mlp_dim=5,
        channels_mlp_dim=8,
        num_classes=4,
    )
    rng = np.random.default_rng(0)
    created.set_weights([rng.normal(scale=0.5, size=w.shape) for w in created.weights])
    return created


def test_correct_answers_are_counted(model):
    images = np.stack([make_image(index) for index in range(10)])
    answers = np.argmax(model(images), axis=1)
    labels = np.where(np.arange(10) < 7, answers, (answers + 1) % 4)
    batches = [(images[:6], labels[:6]), (images[6:], labels[6:])]
    scores = {score.order: score for score in permutation.evaluate(model, batches, seed=2)}
    assert list(scores) == list(ORDERS)
    assert scores[GIVEN].top_1 == 0.7
    for order in (PATCHES, PIXELS, BOTH):
        assert scores[order].absorbed == 0.7
        indices = input_order.pixel_order(order, SIZE, PATCH, seed=2)
        shuffled = images.reshape(10, -1, 3)[:, indices].reshape(images.shape)
        expected = np.mean(np.argmax(model(shuffled), axis=1) == labels)
        assert scores[order].top_1 == pytest.approx(expected)
    assert scores[GIVEN].absorbed is None and scores[GLOBAL].absorbed is None


def test_no_images(model):
    with pytest.raises(ValueError, match="at least one image must be usable"):
        permutation.evaluate(model, [])


def test_a_model_without_patches():
    config = BiTConfig(image_size=SIZE, num_units=(1,), width=32)
    with pytest.raises(ValueError, match="a model without patches requires a patch_size"):
        permutation.examples(make_image(0), config)
    examples = permutation.examples(make_image(0), config, patch_size=4)
    assert sorted(examples[PATCHES].ravel()) == sorted(make_image(0).ravel())


def test_another_patch_size_than_the_models(model):
    with pytest.raises(ValueError, match="the model's patches have 4 pixels; got patch_size=2"):
        permutation.evaluate(model, [], patch_size=2)


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    """Shards of 64, 8 and 8 images in two classes."""
    folder, counts, first = str(tmp_path_factory.mktemp("data")), {}, 0
    for split, count in (("train", 64), ("eval", 8), ("test", 8)):
        records = [
            ImageRecord(
                tf.io.encode_png(make_image(i)).numpy(), "PNG", i % 2, "ab"[i % 2], f"{i}", 8, 8
            )
            for i in range(first, first + count)
        ]
        examples.write(records, folder, split, 1)
        counts[split] = {"a": count // 2, "b": count // 2}
        first += count
    return open_splits(folder, DatasetInfo("halves", ("a", "b"), counts))


@pytest.mark.slow
@pytest.mark.parametrize("order", [pytest.param(GIVEN, marks=pytest.mark.slow), BOTH])
def test_a_mixer_learns_in_any_order(splits, order):
    seen = []
    score = permutation.train(RECIPE, splits, order, report=lambda *numbers: seen.append(numbers))
    assert score.top_1 == 1.0 and score.order == order
    assert len(score.curve) == 6 and score.curve[-1] == 1.0
    assert score.steps == (4, 8, 12, 16, 20, 24) and score.seconds > 0
    assert seen == [(step, 24) for step in range(1, 25)]


@pytest.mark.slow
def test_the_curve_has_as_many_points_as_evaluations_and_a_training_resumes(splits, tmp_path):
    recipe = RECIPE.override(["training.epochs=3", "training.patience=1"])
    folder = str(tmp_path / "checkpoints")
    stopped = []

    def stop(step, steps):
        if step == 7 and not stopped:
            stopped.append(step)
            raise KeyboardInterrupt

    options = dict(evaluations=4, checkpoint_dir=folder)
    with pytest.raises(KeyboardInterrupt):
        permutation.train(recipe, splits, PATCHES, report=stop, **options)
    score = permutation.train(recipe, splits, PATCHES, **options)
    whole = permutation.train(recipe, splits, PATCHES, evaluations=4)
    assert score.steps == whole.steps == (3, 6, 9, 12)
    assert (score.top_1, score.curve) == (whole.top_1, whole.curve)


def test_models_without_patches_get_the_patches_of_the_others():
    mixer, vit = (
        registry.resolve(name, image_size=64, patch_size=patch)
        for name, patch in (("mixer_s16", 8), ("vit_s16", 16))
    )
    bit = BiTConfig(image_size=64, num_units=(1,), width=32)
    assert permutation.patch_sizes({"m": mixer, "b": bit}) == {"m": 8, "b": 8}
    assert permutation.patch_sizes({"m": mixer, "v": vit}) == {"m": 8, "v": 16}
    assert permutation.patch_sizes({"b": bit}, 4) == {"b": 4}
    with pytest.raises(ValueError, match="got none for b, and 8, 16 for the others"):
        permutation.patch_sizes({"m": mixer, "b": bit, "v": vit})
    with pytest.raises(ValueError, match="the model's patches have 8 pixels; got patch_size=16"):
        permutation.patch_sizes({"m": mixer, "b": bit}, 16)
    with pytest.raises(ValueError, match="a model without patches requires a patch_size"):
        permutation.patch_sizes({"b": bit})


def test_examples_and_chart(splits, tmp_path):
    image, config = permutation.first_image(RECIPE, splits["test"])
    np.testing.assert_array_equal(image, make_image(72))
    examples = permutation.examples(image, config)
    assert list(examples) == list(ORDERS)
    for curve, steps in (((), ()), ((0.2, 0.4), (5, 10))):
        scores = [permutation.Score(order, 0.5, 0.5, curve, steps) for order in ORDERS]
        by_model = {"mixer $x$": scores, "ビット": scores[:2]}
        permutation_plot.draw(by_model, examples, str(tmp_path / "chart.png"))
        width, height = Image.open(tmp_path / "chart.png").size
        assert width > 500
        permutation_plot.draw(by_model, {}, str(tmp_path / "chart.png"))
        assert Image.open(tmp_path / "chart.png").size == (width, height - 170)
        assert [path.name for path in tmp_path.iterdir()] == ["chart.png"]


def test_the_panels_show_every_value(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: saved.append(figure))
    monkeypatch.setattr(permutation_plot.storage, "replacing", contextlib.nullcontext)
    low, high = (permutation.Score(GIVEN, 0.0, None, (0.1, value), (5, 10)) for value in (0.3, 0.5))
    permutation_plot.draw({"a": [low], "b": [high], "c": [low]}, {}, "chart.png")
    bars = [permutation.Score(GIVEN, 0.2, 0.8)]
    permutation_plot.draw({"a": bars}, {}, "chart.png")
    permutation_plot.draw({"a": [permutation.Score(GIVEN, 1.0)]}, {}, "chart.png")
    limits = [{axes.get_ylim() for axes in figure.axes} for figure in saved]
    assert [len(found) for found in limits] == [1, 1, 1]
    assert [found.pop() for found in limits] == [pytest.approx((0, y)) for y in (0.525, 0.84, 1)]


@pytest.mark.slow
def test_an_opened_export_is_the_exported_model(tmp_path):
    created = factory.from_recipe(RECIPE, 2)
    created.get_layer("head").kernel.assign(np.random.default_rng(0).normal(size=(8, 2)))
    saved_model.export_saved_model(created, RECIPE, ["a", "b"], str(tmp_path / "model"))
    opened = open_export(str(tmp_path / "model"))
    assert opened.recipe == RECIPE and opened.class_names == ("a", "b")
    image = make_image(0)[None]
    np.testing.assert_array_equal(opened.model(image), created(image))


def test_images_of_a_source_as_the_model_sees_them(image_folder):
    from mixer_tf.datasets.sources import opening

    source = opening.open_source(f"folder:{image_folder}")
    opened = Export(None, RECIPE, ("dog", "elk", "cat"))
    batches = list(image_batches(opened, source, "test", 3))
    assert all(images.shape[1:] == (8, 8, 3) for images, _ in batches)
    assert set(np.concatenate([labels for _, labels in batches])) <= {0, 2}
    with pytest.raises(ValueError, match="the model must know all classes of the source; not 'cat"):
        next(image_batches(Export(None, RECIPE, ("dog",)), source, "test"))
