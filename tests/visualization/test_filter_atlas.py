# SPDX-License-Identifier: Apache-2.0
"""The weight atlas: PNG files, numbers and a page of the filters of any checkpoint."""

import csv
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn
from scipy.spatial.distance import cdist
from webdriver import needs_browser

from mixer_tf.visualization import filter_atlas, filters


def token_kernel(block: int, layer: int = 0) -> str:
    return f"MixerBlock_{block}/token_mixing/Dense_{layer}/kernel"


def make_weights(seed: int) -> dict[str, np.ndarray]:
    """A Mixer with 2 blocks and 3x2 patches."""
    rng = np.random.default_rng(seed)
    weights = {"stem/kernel": rng.normal(size=(4, 4, 3, 5))}
    for block in range(2):
        weights[token_kernel(block)] = rng.normal(size=(6, 7))
        weights[token_kernel(block, 1)] = rng.normal(size=(7, 6))
        weights[f"MixerBlock_{block}/channel_mixing/Dense_0/kernel"] = rng.normal(size=(5, 9))
    return weights


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, str]:
    folder, found = tmp_path_factory.mktemp("checkpoints"), {}
    for seed, title in enumerate(("early", "late")):
        found[title] = str(folder / f"{title}.npz")
        np.savez(found[title], **make_weights(seed))
    return found


def names(paths) -> list[str]:
    return [path.rsplit("/")[-1] for path in paths]


def test_files_contain_the_plots(checkpoints, tmp_path):
    files = filter_atlas.write_atlas(
        {"early": checkpoints["early"]}, str(tmp_path / "out"), grid=(3, 2)
    )
    plots = ["stem.png", "token_mixing_0.png", "token_mixing_1.png"]
    assert names(files) == [*plots, "filters.csv", "filters.html"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names(files))
    weights = make_weights(0)
    expected = filters.plot_token_mixing(weights[token_kernel(1)], (3, 2))
    np.testing.assert_array_equal(np.asarray(Image.open(files[2])), expected)
    expected = filters.plot_stem(weights["stem/kernel"])
    np.testing.assert_array_equal(np.asarray(Image.open(files[0])), expected)


def test_two_checkpoints_are_side_by_side(checkpoints, tmp_path):
    layers = ["token_mixing_0_outputs"]
    path, *_ = filter_atlas.write_atlas(checkpoints, str(tmp_path), layers, grid=(3, 2))
    image = np.asarray(Image.open(path))
    left, right = (
        filters.plot_token_mixing(make_weights(seed)[token_kernel(0, 1)].T, (3, 2))
        for seed in range(2)
    )
    height, width, _ = left.shape
    np.testing.assert_array_equal(image[-height:, :width], left)
    np.testing.assert_array_equal(image[-height:, -width:], right)
    assert image.shape[1] > 2 * width and np.all(image[-height:, width:-width] == 255)
    assert np.any(image[:-height, :width] < 100) and np.any(image[:-height, -width:] < 100)


def test_the_table_has_the_frequency_and_the_closest_inverse_of_each_filter(checkpoints, tmp_path):
    filter_atlas.write_atlas(checkpoints, str(tmp_path), ["token_mixing_1"], grid=(3, 2))
    with open(tmp_path / "filters.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == "late"]
    units = make_weights(1)[token_kernel(1)].T.reshape(7, 3, 2)
    assert sorted(int(row["unit"]) for row in rows) == list(range(7))
    energies = dctn(units, type=2, norm="ortho", axes=(1, 2)) ** 2
    squared = sum(
        np.meshgrid(
            *(4 * np.sin(np.pi * np.arange(n) / (2 * n)) ** 2 for n in (3, 2)), indexing="ij"
        )
    )
    frequencies = np.sum(energies * squared, axis=(1, 2)) / np.sum(energies, axis=(1, 2))
    cosines = 1 - cdist(units.reshape(7, -1), units.reshape(7, -1), "cosine")
    remaining = set(range(7))
    for first, second in zip(rows[:-1:2], rows[1::2], strict=True):
        a, b = int(first["unit"]), int(second["unit"])
        assert a == min(remaining, key=frequencies.__getitem__)
        assert b == min(remaining - {a}, key=cosines[a].__getitem__)
        assert int(first["partner"]) == b and int(second["partner"]) == a
        assert float(first["frequency"]) == pytest.approx(frequencies[a])
        assert float(first["similarity"]) == pytest.approx(cosines[a, b])
        remaining -= {a, b}
    assert rows[-1]["partner"] == rows[-1]["similarity"] == ""


def test_pairs_of_inverses_differ_from_pairs_by_chance():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(64, 20))
    kernel = np.concatenate([half, -half + 0.1 * rng.normal(size=half.shape)], axis=1)
    layer = filter_atlas.find_layers({token_kernel(0): kernel.shape})["token_mixing_0"]
    found = filter_atlas.LayerFilters.of("model", layer, layer.filters(kernel))
    assert np.mean(found.similarities) < -0.98
    assert -0.5 < np.mean(found.similarities_by_chance) < 0
    for unit, weights in enumerate(filters.shuffled(found.filters)):
        np.testing.assert_array_equal(np.sort(weights, axis=None), np.sort(kernel[:, unit]))


def test_the_page_shows_each_layer_and_treats_titles_as_text(checkpoints, tmp_path):
    titled = {"<b>early</b>": checkpoints["early"], "=late": checkpoints["late"]}
    filter_atlas.write_atlas(titled, str(tmp_path), grid=(3, 2))
    page = (tmp_path / "filters.html").read_text(encoding="utf-8")
    assert page.count("<img src=") == 3 and "Content-Security-Policy" in page
    assert "<b>" not in page and "&lt;b&gt;early" in page
    assert "\n'=late,stem,0," in (tmp_path / "filters.csv").read_text()


@needs_browser
def test_a_browser_shows_every_plot_in_its_size_and_titles_as_text(browser, checkpoints, tmp_path):
    hostile = "<img src=x onerror=window.hacked=1>"
    titled = {hostile: checkpoints["early"], "late": checkpoints["late"]}
    *plots, _, path = filter_atlas.write_atlas(titled, str(tmp_path), grid=(3, 2))
    browser.open(pathlib.Path(path).as_uri())
    text = browser.run("return document.body.innerText")
    layers = ["stem", "token_mixing_0", "token_mixing_1"]
    for words in (hostile, "late", *layers):
        assert words in text
    sizes = "return [...document.images].map(image => [image.naturalWidth, image.naturalHeight])"
    assert browser.run(sizes) == [list(Image.open(plot).size) for plot in plots]
    assert browser.run("return window.hacked === undefined")
    assert browser.errors() == []


def test_only_the_requested_blocks_and_layers(checkpoints, tmp_path):
    one = {"early": checkpoints["early"]}
    found = filter_atlas.read_filters(one, None, [1], (3, 2))
    assert list(found) == ["stem", "token_mixing_1"]
    found = filter_atlas.read_filters(one, ["token_mixing_*"], [0], (3, 2))
    assert list(found) == ["token_mixing_0", "token_mixing_0_outputs"]


def test_a_layer_that_only_one_model_has(checkpoints, tmp_path):
    rng = np.random.default_rng(0)
    vit = {
        "cls": rng.normal(size=(1, 1, 8)),
        "embedding/kernel": rng.normal(size=(4, 4, 3, 8)),
        "Transformer/posembed_input/pos_embedding": rng.normal(size=(1, 7, 8)),
    }
    np.savez(tmp_path / "vit.npz", **vit)
    models = {"mixer": checkpoints["early"], "vit": str(tmp_path / "vit.npz")}
    found = filter_atlas.read_filters(models, ["stem", "position_embedding"], grid=(3, 2))
    assert {name: [each.model for each in of] for name, of in found.items()} == {
        "stem": ["mixer", "vit"],
        "position_embedding": ["vit"],
    }
    expected = vit["Transformer/posembed_input/pos_embedding"][0, 1:].T.reshape(8, 3, 2)
    np.testing.assert_array_equal(found["position_embedding"][0].filters, expected)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ({"resnet/root_block/standardized_conv2d/kernel": (7, 7, 3, 64)}, ["root"]),
        ({"posembed_input/pos_embedding": (1, 16, 8)}, ["position_embedding"]),
        # The second block of a pyramid gets 4 tokens that are not patches.
        (
            {
                token_kernel(0): (9, 5),
                token_kernel(0, 1): (5, 4),
                token_kernel(1): (4, 5),
                token_kernel(1, 1): (5, 4),
            },
            ["token_mixing_0"],
        ),
        ({token_kernel(0): (8, 9, 5), token_kernel(0, 1): (8, 5, 9)}, ["", "_outputs"]),
        ({"stem/kernel": (4, 4, 1, 5)}, []),
    ],
)
def test_layers_of_other_models(shapes, expected):
    if expected and not expected[0]:
        expected = [f"token_mixing_0{end}" for end in expected]
    assert list(filter_atlas.find_layers(shapes)) == expected


def test_position_embeddings_without_a_class_token_are_all_shown():
    layer = filter_atlas.find_layers({"posembed_input/pos_embedding": (1, 10, 3)})
    embeddings = np.arange(30.0).reshape(1, 10, 3)
    found = layer["position_embedding"].filters(embeddings, (2, 5))
    np.testing.assert_array_equal(found[1], embeddings[0, :, 1].reshape(2, 5))
    with pytest.raises(ValueError, match="position_embedding: the grid of patches must be square"):
        layer["position_embedding"].filters(embeddings)


def test_an_npz_file_is_plotted_without_tensorflow(checkpoints, tmp_path):
    code = (
        "import sys\n"
        "from mixer_tf.visualization.filter_atlas import write_atlas\n"
        "write_atlas({'a': sys.argv[1]}, sys.argv[2], grid=(3, 2))\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    arguments = [sys.executable, "-c", code, checkpoints["early"], tmp_path / "out"]
    subprocess.run(arguments, check=True)
    assert (tmp_path / "out" / "stem.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": [0, 2, 5]}, r"a block must be one of 0 to 1; got 2, 5\."),
        ({"layers": ["token_mxing_1"]}, "got 'token_mxing_1'. Did you mean token_mixing_1"),
        (
            {"layers": ["token_mixing_0"], "blocks": [1]},
            r"got the layers token_mixing_0 and the blocks 1\.",
        ),
        ({"layers": ["MixerBlock_0/channel_mixing/Dense_0"]}, "not arranged as in an image"),
        ({}, "token_mixing_0: the grid of patches must be square"),
    ],
)
def test_what_does_not_exist_or_fit_is_refused(checkpoints, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        filter_atlas.write_atlas(checkpoints, str(tmp_path / "out"), **options)
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_without_filters_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", **{"dense/kernel": np.zeros((4, 4))})
    with pytest.raises(ValueError, match="must be a Mixer, ViT or BiT"):
        filter_atlas.write_atlas({"a": str(tmp_path / "other.npz")}, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
