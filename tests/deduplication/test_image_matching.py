# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from benchmarks.deduplication.look_alikes import make_sets
from mixer_tf.deduplication import candidates, thresholds
from mixer_tf.deduplication.matching import COPY, EXACT, MIRRORED, TURNED, find_matches


def scaled(image, factor):
    return image.resize((round(image.width * factor), round(image.height * factor)))


def cropped(image, border):
    return image.crop((border, border, image.width - border, image.height - border))


def cropped_by(image, share):
    width, height = image.size
    box = share * width, share * height, (1 - share) * width, (1 - share) * height
    return image.crop(tuple(map(round, box)))


def without_side(image, side, share):
    """The image without a share at the left, top, right or bottom."""
    box = [0, 0, *image.size]
    box[side] += round((1 if side < 2 else -1) * share * image.size[side % 2])
    return image.crop(box)


COPIES = {
    "JPEG of low quality": (lambda image: image, {"image_format": "JPEG", "quality": 40}, COPY),
    "another format": (lambda image: image, {"image_format": "WEBP", "quality": 80}, COPY),
    "nine tenths of the size": (lambda image: scaled(image, 0.9), {}, COPY),
    "a quarter of the size": (lambda image: scaled(image, 0.25), {}, COPY),
    "enlarged": (lambda image: scaled(image, 1.3), {}, COPY),
    "slightly cropped": (lambda image: cropped(image, 10), {}, COPY),
    "brightened": (lambda image: image.point(lambda value: min(255, value + 40)), {}, COPY),
    "grayscale": (lambda image: image.convert("L"), {}, COPY),
    "mirrored": (ImageOps.mirror, {"image_format": "JPEG"}, MIRRORED),
    "cropped by 15 % of each side": (lambda image: cropped_by(image, 0.15), {}, COPY),
    "without a fifth at the left": (lambda image: without_side(image, 0, 0.2), {}, COPY),
    "without a fifth at the top": (lambda image: without_side(image, 1, 0.2), {}, COPY),
    "without a fifth at the right": (lambda image: without_side(image, 2, 0.2), {}, COPY),
    "without a fifth at the bottom, mirrored": (
        lambda image: ImageOps.mirror(without_side(image, 3, 0.2)),
        {"image_format": "JPEG"},
        MIRRORED,
    ),
    "framed": (lambda image: ImageOps.expand(image, 60, "white"), {}, COPY),
    "framed and mirrored": (
        lambda image: ImageOps.expand(ImageOps.mirror(image), 40),
        {"image_format": "JPEG"},
        MIRRORED,
    ),
    "rotated by 4 degrees": (lambda image: image.rotate(4, Image.BICUBIC), {}, COPY),
    "turned to the left": (lambda image: image.rotate(90, expand=True), {}, TURNED),
    "upside down": (lambda image: image.rotate(180), {"image_format": "JPEG"}, TURNED),
    "turned to the right": (lambda image: image.rotate(270, expand=True), {}, TURNED),
}


@pytest.fixture(scope="module")
def gallery(photo, other_photo, random_image, save, take_fingerprints):
    random_images = [random_image(seed) for seed in range(10)]
    return take_fingerprints("test", map(save, [photo, other_photo, *random_images]))


@pytest.mark.parametrize("change", COPIES)
def test_a_modified_photograph_is_found(change, photo, gallery, save, take_fingerprints):
    edit, options, reason = COPIES[change]
    (match,) = find_matches(take_fingerprints("train", [save(edit(photo), **options)]), gallery)
    assert (match.image.set_name, match.other.source, match.reason) == ("train", "00", reason)
    assert 0 <= match.distance <= 1 - thresholds.DUPLICATE


@pytest.mark.parametrize("side", range(4))
def test_the_original_of_a_cropped_test_image_is_found(side, photo, save, take_fingerprints):
    gallery = take_fingerprints("test", [save(without_side(photo, side, 0.2), "JPEG")])
    (match,) = find_matches(take_fingerprints("train", [save(photo)]), gallery)
    assert match.reason == COPY


@pytest.mark.parametrize("name", ["receipts", "letters", "forms"])
def test_documents_of_one_layout_are_duplicates_of_their_copies_alone(
    name, save, take_fingerprints
):
    documents = [Image.open(io.BytesIO(encoded)) for encoded in dict(make_sets(4))[name]]
    gallery = take_fingerprints("test", [save(document) for document in documents[:2]])
    edited = [scaled(documents[0], 0.5), documents[1].filter(ImageFilter.GaussianBlur(1))]
    queries = [*(save(image, "JPEG", quality=60) for image in edited), *map(save, documents[2:])]
    matches = find_matches(take_fingerprints("train", queries), gallery)
    assert {(m.image.source, m.other.source) for m in matches} == {("00", "00"), ("01", "01")}


def test_equal_bytes_are_an_exact_copy(gallery, random_image, save, take_fingerprints):
    (match,) = find_matches(take_fingerprints("train", [save(random_image(3))]), gallery)
    assert (match.other.source, match.distance, match.reason) == ("05", 0.0, EXACT)


def test_different_images_are_not_duplicates(gallery, random_image, save, take_fingerprints):
    others = take_fingerprints("train", [save(random_image(seed)) for seed in range(100, 140)])
    assert not list(find_matches(others, gallery))


def test_images_of_one_color_are_duplicates_only_with_equal_bytes(
    save, random_image, take_fingerprints
):
    white = random_image(0).point(lambda value: 255)
    gallery = take_fingerprints("test", [save(white)])
    almost = white.point(lambda value: 254)
    queries = take_fingerprints("train", [save(almost), save(white)])
    assert [match.image.source for match in find_matches(queries, gallery)] == ["01"]


def test_images_of_the_gallery_are_compared_only_with_earlier_ones(
    random_image, save, take_fingerprints
):
    first, second = random_image(0), random_image(1)
    encoded = [save(first), save(second), save(first, "JPEG"), save(first, "WEBP")]
    gallery = take_fingerprints("train", encoded)
    indices = np.array([1, 2, 3])
    matches = find_matches(gallery.take(indices), gallery, indices)
    pairs = {(match.image.source, match.other.source) for match in matches}
    assert pairs == {("02", "00"), ("03", "00"), ("03", "02")}


def test_candidates_do_not_depend_on_the_block_size_and_are_complete(
    random_image, save, take_fingerprints, monkeypatch
):
    gallery = take_fingerprints("test", [save(random_image(seed)) for seed in range(30)])
    queries = take_fingerprints("train", [save(random_image(s), "JPEG") for s in range(20, 40)])
    whole = candidates.find_candidates(queries, gallery)
    monkeypatch.setattr(candidates, "_BLOCK_SIZE", 7)
    blocks = candidates.find_candidates(queries, gallery)
    assert triples(whole) == triples(blocks)
    assert {(index, 20 + index, candidates.UPRIGHT) for index in range(10)} <= triples(whole)


def triples(pairs: candidates.Pairs) -> set[tuple[int, int, int]]:
    return set(zip(pairs.rows, pairs.columns, pairs.orientations, strict=True))


def test_the_candidates_with_the_highest_cosine_are_kept(
    random_image, save, take_fingerprints, monkeypatch
):
    monkeypatch.setattr(candidates, "_MAX_NEARLY_EQUAL", candidates._MAX_CANDIDATES)
    qualities = range(60, 95)
    encoded = [save(random_image(0), "JPEG", quality=quality) for quality in qualities]
    gallery = take_fingerprints("test", encoded)
    query = take_fingerprints("train", [save(random_image(0))])
    found = candidates.find_candidates(query, gallery)
    upright = found.select((found.orientations == candidates.UPRIGHT) & ~found.views.any(1))
    assert len(upright) == candidates._MAX_CANDIDATES
    chosen = set(upright.columns.tolist())
    cosines = candidates.descriptor.cosine(query.descriptors[:, 0], gallery.descriptors[:, 0])[0]
    assert cosines[list(chosen)].min() >= np.delete(cosines, list(chosen)).max()


def test_a_turned_symbol_is_another_one(save, take_fingerprints):
    six = Image.new("RGB", (200, 200), "white")
    draw = ImageDraw.Draw(six)
    draw.ellipse((60, 90, 140, 170), outline="black", width=14)
    draw.line((64, 120, 110, 30), fill="black", width=14)
    gallery = take_fingerprints("test", [save(six)])
    assert not list(find_matches(take_fingerprints("train", [save(six.rotate(180))]), gallery))
    assert len(list(find_matches(take_fingerprints("train", [save(six, "JPEG")]), gallery))) == 1
