# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from mixer_tf.recipes.schema import DataOptions
from mixer_tf.training.augmentation import cutmix, geometric, mixing, mixup

NONE = dict(flip=False, shift=0, rotate=0.0)


@pytest.fixture
def image():
    return tf.constant(np.random.default_rng(0).integers(1, 256, (12, 12, 3)), tf.uint8)


def variants(image, options, count=64):
    return [geometric.augment(image, options, tf.constant([0, i])).numpy() for i in range(count)]


def test_no_options_change_nothing(image):
    for variant in variants(image, DataOptions(**NONE), 3):
        np.testing.assert_array_equal(variant, image)


def test_flip_mirrors_about_half_of_the_images(image):
    flipped = [
        np.array_equal(variant, image[:, ::-1])
        for variant in variants(image, DataOptions(**{**NONE, "flip": True}))
    ]
    assert 16 < sum(flipped) < 48


def test_shift_moves_by_up_to_its_pixels_and_fills_with_black(image):
    padded = np.pad(image, [(2, 2), (2, 2), (0, 0)])
    allowed = {padded[y : y + 12, x : x + 12].tobytes(): (y, x) for y in range(5) for x in range(5)}
    found = {
        allowed[variant.tobytes()]
        for variant in variants(image, DataOptions(**{**NONE, "shift": 2}), 200)
    }
    assert len(found) > 20


def test_rotate_stays_within_its_angle():
    """A bright line through the center; its angle is measured at its end."""
    line = np.zeros((41, 41, 3), np.uint8)
    line[20, :] = 255
    rows = [
        int(variant[:, 38, 0].argmax())
        for variant in variants(tf.constant(line), DataOptions(**{**NONE, "rotate": 20.0}))
    ]
    limit = 18 * np.tan(np.radians(20))
    assert min(rows) < 20 - limit / 2 and max(rows) > 20 + limit / 2
    assert all(abs(row - 20) <= limit + 1 for row in rows)


def test_the_same_seed_gives_the_same_image(image):
    options = DataOptions(flip=True, shift=3, rotate=30.0)
    one, other = (geometric.augment(image, options, tf.constant([5, 7])) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert one.dtype == tf.uint8


def test_mixup_is_the_formula():
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (4, 2, 2, 3)).astype(np.uint8)
    labels = np.eye(4, dtype=np.float32)
    mixed, mixed_labels = mixup.mixup(pixels, labels, 0.5, tf.constant([1, 2]))
    weight = mixed_labels.numpy()[0, 0]
    assert 0.5 <= weight <= 1
    np.testing.assert_allclose(
        mixed, weight * pixels + (1 - weight) * np.roll(pixels, 1, axis=0), rtol=1e-5
    )
    np.testing.assert_allclose(
        mixed_labels, weight * labels + (1 - weight) * np.roll(labels, 1, axis=0), rtol=1e-6
    )


@pytest.mark.parametrize("strength", [0.01, 0.03, 0.2, 0.5, 2.0])
def test_mixup_weights_are_from_the_beta_distribution(strength):
    """Against scipy: the Kolmogorov-Smirnov statistic, and how many are nearly 0 or 1."""
    seeds = tf.stack([tf.zeros(4000, tf.int64), tf.range(4000, dtype=tf.int64)], axis=1)
    draw_all = tf.function(
        lambda: tf.map_fn(
            lambda seed: mixup._beta(strength, seed), seeds, fn_output_signature=tf.float32
        )
    )
    draws = draw_all().numpy()
    expected = stats.beta(strength, strength)
    # Beyond 1e-6, float32 cannot express the distance to 1: compared are the values in between.
    points = np.concatenate([[1e-6, 1e-3], np.linspace(0.01, 0.99, 99), [1 - 1e-3, 1 - 1e-6]])
    shares = np.searchsorted(np.sort(draws), points, side="right") / len(draws)
    assert np.abs(shares - expected.cdf(points)).max() < 1.63 / np.sqrt(len(draws))  # p = 0.01
    np.testing.assert_allclose(np.mean(draws), 0.5, atol=3 * expected.std() / np.sqrt(len(draws)))


def test_a_tiny_strength_hardly_mixes():
    """The weights are within 1 % of 1 nearly always: P = 0.955 for p = 0.01."""
    labels = np.eye(4, dtype=np.float32)
    pixels = np.zeros((4, 1, 1, 3), np.uint8)
    weights = [
        float(mixup.mixup(pixels, labels, 0.01, tf.constant([0, number]))[1][0, 0])
        for number in range(200)
    ]
    assert np.mean(np.array(weights) > 0.99) == pytest.approx(
        2 * stats.beta(0.01, 0.01).cdf(0.01), abs=0.04
    )


def replaced_shares(number: int) -> np.ndarray:
    """The shares of the area that CutMix replaces, [number], each checked against the labels."""
    size = 16
    pixels = np.arange(2 * size * size * 3).reshape(2, size, size, 3).astype(np.float32)
    labels = np.eye(2, dtype=np.float32)
    apply = tf.function(lambda seed: cutmix.cutmix(pixels, labels, seed))
    shares = []
    for index in range(number):
        mixed, mixed_labels = (each.numpy() for each in apply(tf.constant([3, index])))
        replaced = (mixed != pixels).any(-1)
        np.testing.assert_array_equal(mixed[replaced], pixels[::-1][replaced])
        assert (replaced[0] == replaced[1]).all()
        rows, columns = replaced[0].any(1), replaced[0].any(0)
        np.testing.assert_array_equal(replaced[0], rows[:, None] & columns)
        for line in (rows, columns):  # one interval
            assert (np.diff(np.concatenate([[0], line, [0]]).astype(int)) == 1).sum() <= 1
        share = replaced[0].mean()
        np.testing.assert_allclose(
            mixed_labels, [[1 - share, share], [share, 1 - share]], atol=1e-6
        )
        shares.append(share)
    return np.array(shares)


def test_cutmix_replaces_rectangles_of_the_stated_distribution():
    """Against drawing rectangles as the authors do, in another way: by their corners in [0, 1]."""
    random = np.random.default_rng(0)
    half, center = np.sqrt(1 - random.random((100_000, 1))) / 2, random.random((100_000, 2))
    sides = np.clip(center + half, 0, 1) - np.clip(center - half, 0, 1)
    expected, found = sides.prod(1), replaced_shares(1000)
    assert abs(found.mean() - expected.mean()) < 4 * expected.std() / np.sqrt(1000)
    for share in (0.05, 0.2, 0.5, 0.8):
        assert (found < share).mean() == pytest.approx((expected < share).mean(), abs=0.06)


def test_cutmix_has_its_share_of_the_batches_and_mixup_the_others():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    labels = np.eye(3, dtype=np.float32)
    own = np.abs(pixels.astype(int) - np.roll(pixels, 1, axis=0)).max(-1) > 0

    def kinds(options: DataOptions) -> list[str]:
        apply = tf.function(lambda seed: mixing.mix(pixels, labels, options, seed))
        found = []
        for index in range(300):
            mixed, mixed_labels = (each.numpy() for each in apply(tf.constant([1, index])))
            assert mixed.dtype == np.float32
            np.testing.assert_allclose(mixed_labels.sum(1), 1, atol=1e-6)
            changed = (mixed != pixels).any(-1) & own
            is_whole = changed.sum() == own.sum() and not np.isin(mixed, pixels).all()
            found.append("mixup" if is_whole else "cutmix" if changed.any() else "none")
        return found

    both = kinds(DataOptions(mixup=0.5, cutmix=0.3))
    assert 60 <= both.count("cutmix") + both.count("none") <= 125  # a rectangle may be empty
    alone = kinds(DataOptions(cutmix=0.3))
    assert "mixup" not in alone and 55 <= alone.count("cutmix") <= 120
    assert set(kinds(DataOptions(mixup=0.5))) == {"mixup"}
