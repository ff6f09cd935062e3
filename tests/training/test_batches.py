# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf import features, images
from mixer_tf.features import ImageRecord
from mixer_tf.images.preprocessing import decode_and_crop
from mixer_tf.training.input import batches
from mixer_tf.training.input.samples import read_samples
from mixer_tf.training.input.split import Split, count_records, open_splits
from mixer_tf.training.input.transforms import deterministic_transform, random_transform

# All that is random in a training image.
EVERYTHING = (
    *("data.train_crop=inception", "data.flip=true", "data.shift=2", "data.rotate=5"),
    *("data.color_jitter=0.4", "data.randaugment_layers=2", "data.randaugment_magnitude=10"),
    "data.mixup=0.5",
)


@pytest.fixture
def train(dataset):
    return Split(tuple(dataset.files("train")), 30, 3)


@pytest.fixture
def evaluation(dataset):
    return Split(tuple(dataset.files("eval")), 13, 3)


def take(batches, count):
    return [(pixels.numpy(), labels.numpy()) for pixels, labels in itertools.islice(batches, count)]


def assert_same(batches, others):
    for (pixels, labels), (other_pixels, other_labels) in zip(batches, others, strict=True):
        np.testing.assert_array_equal(pixels, other_pixels)
        np.testing.assert_array_equal(labels, other_labels)


def context(pipelines, pipeline, replicas):
    return tf.distribute.InputContext(pipelines, pipeline, replicas)


def test_count_records(dataset):
    assert count_records(dataset.files("eval")) == 13
    assert count_records([]) == 0


def test_training_batches_are_uint8_and_static(train, recipe):
    pixels, labels = batches.training_batches(train, recipe).element_spec
    assert pixels == tf.TensorSpec([8, 16, 16, 3], tf.uint8)
    assert labels == tf.TensorSpec([8, 3], tf.float32)


def test_without_augmentation_pixels_are_those_of_the_file(train, recipe):
    plain = recipe.override(["data.shift=0", "data.rotate=0", "data.flip=false"])
    seen = {
        pixels.tobytes(): label
        for batch in take(batches.training_batches(train, plain), 4)
        for pixels, label in zip(*batch, strict=True)
    }
    for serialized in tf.data.TFRecordDataset(train.files):
        record = ImageRecord.from_example(serialized.numpy())
        label = seen[images.decode(tf.constant(record.encoded)).numpy().tobytes()]
        np.testing.assert_array_equal(label, np.eye(3)[record.label])


def test_an_epoch_has_every_image_once_and_its_own_order(train, recipe):
    plain = recipe.override(
        ["data.shift=0", "data.rotate=0", "data.flip=false", "training.batch_size=30"]
    )
    epochs = take(batches.training_batches(train, plain), 3)
    orders = [[image.tobytes() for image in pixels] for pixels, _ in epochs]
    assert all(len(set(order)) == 30 for order in orders)
    assert set(orders[0]) == set(orders[1]) == set(orders[2])
    assert orders[0] != orders[1] != orders[2]


@pytest.mark.parametrize(
    ("crop", "side", "mixup", "memory"),
    [
        ("same", None, 0.5, 0),
        ("inception", 12, 0.5, 2**20),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                ("same", None, 0, 2**20),
                ("inception", None, 0, 0),
                ("resize_random", None, 0, 2**20),
                ("resize_random", None, 0.5, 0),
            ]
        ),
    ],
)
def test_a_restart_resumes_with_the_same_batches(
    train, recipe, crop, side, mixup, memory, monkeypatch
):
    monkeypatch.setattr(batches, "MEMORY_BYTES", memory)
    varied = recipe.override(
        [
            *(f"data.train_crop={crop}", f"data.train_shorter_side={side}"),
            *(f"data.mixup={mixup}", "data.flip=true", "data.shift=2", "data.color_jitter=0.4"),
            f"data.randaugment_layers={2 if mixup else 0}",
        ]
    )
    whole = take(batches.training_batches(train, varied), 9)
    tf.random.set_seed(17)  # no global state may matter
    rest = take(batches.training_batches(train, varied, first_step=5), 4)
    assert_same(rest, whole[5:])


def test_the_shuffle_buffer_is_limited_by_memory_and_a_note_says_so(train, recipe, monkeypatch):
    """The tiny images are not cached, so that the buffer would hold copies of their bytes."""
    cropped = recipe.override(["data.train_crop=inception", "data.train_shorter_side=16"])
    assert batches.shuffle_buffer(train, recipe) == 30  # of 250,000: there are no more
    assert batches.shuffle_notes(train, recipe) == ()
    four = 4 * (train.num_bytes // 30)
    monkeypatch.setattr(batches, "MEMORY_BYTES", four)
    assert batches.shuffle_buffer(train, cropped) == 4
    (note,) = batches.shuffle_notes(train, cropped)
    assert "the shuffle buffer holds 4 instead of 30 images" in note
    few = cropped.override(["data.shuffle_buffer=3"])
    assert batches.shuffle_buffer(train, few) == 3 and not batches.shuffle_notes(train, few)


def test_images_in_the_cache_are_shuffled_without_a_limit(train, recipe, monkeypatch):
    monkeypatch.setattr(batches, "MEMORY_BYTES", 30 * 16 * 16 * 3)
    assert batches.shuffle_buffer(train, recipe) == 30
    assert recipe.data.shuffle_buffer == 250_000


def test_caching_does_not_change_images(train, recipe, monkeypatch):
    plain = recipe.override(["data.shift=0", "data.rotate=0", "training.batch_size=30"])
    ((cached, _),) = take(batches.training_batches(train, plain), 1)
    monkeypatch.setattr(batches, "MEMORY_BYTES", 0)
    ((read_again, _),) = take(batches.training_batches(train, plain), 1)
    assert {image.tobytes() for image in cached} == {image.tobytes() for image in read_again}


@pytest.mark.parametrize(
    ("side", "shape"), [(12, (12, 18, 3)), (20, (20, 30, 3)), (24, (20, 30, 3))]
)
def test_only_larger_images_are_reduced_before_a_random_crop(recipe, side, shape):
    changed = recipe.override(["data.train_crop=inception", f"data.train_shorter_side={side}"])
    encoded = tf.io.encode_png(tf.zeros([20, 30, 3], tf.uint8))
    assert deterministic_transform(encoded, changed).shape == shape


@pytest.mark.parametrize("shape", [(40, 50), (50, 40), (9, 30), (16, 16)])
def test_resize_random_crops_the_resized_image_at_random(recipe, shape):
    """The shorter side becomes 16·8/7 = 18 pixels; every crop is a window of that image."""
    changed = recipe.override(
        ["data.train_crop=resize_random", "data.flip=false", "data.shift=0", "data.rotate=0"]
    )
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    resized = deterministic_transform(tf.io.encode_png(pixels), changed).numpy()
    factor = 18 / min(shape)
    assert resized.shape == (round(shape[0] * factor), round(shape[1] * factor), 3)
    np.testing.assert_array_equal(resized, images.resize_shorter_side(tf.constant(pixels), 18))
    windows = {
        resized[y : y + 16, x : x + 16].tobytes(): (y, x)
        for y in range(resized.shape[0] - 15)
        for x in range(resized.shape[1] - 15)
    }
    found = [
        windows[random_transform(resized, changed, tf.constant([0, i], tf.int64)).numpy().tobytes()]
        for i in range(60)
    ]
    rows, columns = (set(axis) for axis in zip(*found, strict=True))
    assert len(rows) >= 3 and len(columns) >= 3
    assert max(rows) == resized.shape[0] - 16 or len(rows) > 5


def test_the_seed_changes_order_and_augmentation(train, recipe):
    one = take(batches.training_batches(train, recipe), 1)
    other = take(batches.training_batches(train, recipe.override(["training.seed=1"])), 1)
    assert not np.array_equal(one[0][0], other[0][0])


@pytest.mark.slow
def test_several_hosts_make_the_batches_of_one_host_with_as_many_devices(train, recipe):
    """Bit by bit, with all that is random: crop, flip, color jitter, RandAugment and mixup."""
    varied = recipe.override(EVERYTHING)
    one_host = take(batches.training_batches(train, varied, 0, context(1, 0, 2)), 8)
    for host in range(2):
        share = take(batches.training_batches(train, varied, 0, context(2, host, 2)), 4)
        assert_same(share, one_host[host::2])
    resumed = take(batches.training_batches(train, varied, 2, context(2, 1, 2)), 2)
    assert_same(resumed, share[2:])


@pytest.mark.slow
def test_several_devices_have_the_images_of_one_device_before_mixup(train, recipe):
    varied = recipe.override([*EVERYTHING, "data.mixup=0"])
    whole = take(batches.training_batches(train, varied), 5)
    for host in (0, 3):
        share = take(batches.training_batches(train, varied, 0, context(4, host, 4)), 5)
        part = slice(2 * host, 2 * host + 2)
        assert_same(share, [(pixels[part], labels[part]) for pixels, labels in whole])


@pytest.mark.slow
@pytest.mark.parametrize(("pipelines", "replicas"), [(1, 4), (4, 4)])
def test_one_mixup_weight_for_the_global_batch(train, recipe, pipelines, replicas):
    """Per step, all parts of the batch are mixed with the weight of a single device."""

    def weights(pipelines, pipeline, replicas, steps):
        per_step = replicas // pipelines
        found = take(
            batches.training_batches(train, mixed, 0, context(pipelines, pipeline, replicas)),
            steps * per_step,
        )
        values = [label.max(axis=1)[label.max(axis=1) < 1] for _, label in found]
        parts = [np.concatenate(values[i : i + per_step]) for i in range(0, len(values), per_step)]
        return [set(np.round(part, 5)) for part in parts]

    mixed = recipe.override(
        ["data.mixup=0.5", "training.batch_size=16", "data.shift=0", "data.rotate=0"]
    )
    single = weights(1, 0, 1, 6)
    assert len(set.union(*single)) == 6
    for pipeline in {0, pipelines - 1}:
        for found, expected in zip(weights(pipelines, pipeline, replicas, 6), single, strict=True):
            assert found <= expected and len(expected) == 1


def test_batches_are_copied_to_a_device_ahead(train, recipe, monkeypatch):
    """The device is a CPU here: TensorFlow copies to it as to a GPU, in the same order."""
    original = batches.training_batches(train, recipe)
    devices = tf.config.list_logical_devices("CPU")
    monkeypatch.setattr(batches.tf.config, "list_logical_devices", lambda kind: [])
    assert batches.prefetch_to_gpu(original) is original
    monkeypatch.setattr(batches.tf.config, "list_logical_devices", lambda kind: devices[:1])
    copied = batches.prefetch_to_gpu(original)
    assert copied is not original
    tf.nest.map_structure(np.testing.assert_array_equal, take(copied, 4), take(original, 4))


def test_two_workers_split_the_batches_of_one_process(train, recipe):
    whole = take(batches.training_batches(train, recipe), 5)
    shares = [
        take(batches.training_batches(train, recipe, 0, context(2, worker, 2)), 5)
        for worker in range(2)
    ]
    for (pixels, _), (first, _), (second, _) in zip(whole, *shares, strict=True):
        assert first.shape == second.shape == (4, 16, 16, 3)
        assert sorted(image.tobytes() for image in [*first, *second]) == sorted(
            image.tobytes() for image in pixels
        )


@pytest.mark.parametrize("option", ["data.mixup=0.5", "data.cutmix=1"])
def test_two_workers_mix_with_the_same_weight(train, recipe, option):
    mixed = recipe.override([option])
    shares = [
        take(batches.training_batches(train, mixed, 0, context(2, worker, 2)), 5)
        for worker in range(2)
    ]
    for (_, first), (_, second) in zip(*shares, strict=True):
        values = np.concatenate([first, second])
        weights = np.round(values[(values > 0.5) & (values < 1)], 5)
        assert len(set(weights)) == 1


def test_devices_of_one_process_get_parts_of_the_batch(train, recipe):
    whole = take(batches.training_batches(train, recipe), 3)
    parts = take(batches.training_batches(train, recipe, 0, context(1, 0, 2)), 6)
    joined = [
        tuple(np.concatenate(pair) for pair in zip(parts[i], parts[i + 1], strict=True))
        for i in range(0, 6, 2)
    ]
    assert_same(joined, whole)


@pytest.mark.parametrize("pipelines", [1, 2, 4])
def test_evaluation_has_every_image_once(evaluation, recipe, pipelines):
    found, weights = [], []
    for pipeline in range(pipelines):
        padded = batches.evaluation_batches(
            evaluation, recipe, context(pipelines, pipeline, pipelines)
        )
        for pixels, _, weight in padded:
            assert pixels.shape == (8 // pipelines, 16, 16, 3)
            found += [p.tobytes() for p, w in zip(pixels.numpy(), weight, strict=True) if w > 0]
            weights += list(weight.numpy())
    assert len(found) == len(set(found)) == 13
    assert len(weights) == 16
    assert np.mean(weights) == pytest.approx(1)


def test_evaluation_by_keras_is_the_mean_over_the_images(evaluation, recipe):
    """13 images in batches of 8: the padding changes neither loss nor accuracy."""
    model = tf.keras.Sequential(
        [tf.keras.Input((16, 16, 3)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(3)]
    )
    loss = tf.keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, weighted_metrics=["accuracy"])
    found = model.evaluate(batches.evaluation_batches(evaluation, recipe), verbose=0)

    records = [
        ImageRecord.from_example(serialized.numpy())
        for serialized in tf.data.TFRecordDataset(evaluation.files)
    ]
    pixels = np.stack([images.decode(tf.constant(record.encoded)) for record in records])
    labels = np.array([record.label for record in records])
    logits = model.predict(pixels.astype(np.float32), verbose=0).astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_likelihood = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    expected_loss = -np.mean(log_likelihood[np.arange(13), labels])
    assert found == pytest.approx(
        [expected_loss, np.mean(logits.argmax(axis=1) == labels)], rel=1e-4
    )


def test_a_label_without_a_class_name_is_an_error(dataset, recipe):
    split = Split(tuple(dataset.files("eval")), 13, 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="number of class names, 2"):
        list(batches.evaluation_batches(split, recipe))


def test_decode_and_crop_gives_the_size_that_the_model_expects(dataset):
    serialized = next(iter(tf.data.TFRecordDataset(dataset.files("eval"))))
    encoded = ImageRecord.from_example(serialized.numpy()).encoded
    assert features.ENCODED  # the key that the pipeline reads
    for crop in ("resize", "resize_crop", "resmall_crop"):
        image = decode_and_crop(tf.constant(encoded), crop, 12)
        assert image.shape == (12, 12, 3) and image.dtype == tf.uint8


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        [
            *("data.train_crop=inception", "data.randaugment_layers=2"),
            *("data.randaugment_magnitude=10", "data.mixup=0.3"),
        ],
        ["data.train_crop=resize_random", "data.color_jitter=0.3"],
    ],
)
def test_samples_are_the_batch_of_a_training_that_does_not_shuffle(recipe, dataset, overrides):
    split = open_splits(dataset.folder, dataset.info)["train"]
    recipe = recipe.override(["data.shuffle_buffer=1", "training.batch_size=16", *overrides])
    expected, _ = next(iter(batches.training_batches(split, recipe)))
    np.testing.assert_allclose(read_samples(split, recipe), expected, atol=1e-4)


def test_samples_do_not_depend_on_the_parts_of_a_batch(recipe, dataset):
    split = open_splits(dataset.folder, dataset.info)["train"]
    parts = recipe.override(["training.batch_size=24", "training.accumulation_steps=3"])
    np.testing.assert_array_equal(read_samples(split, parts), read_samples(split, recipe))
