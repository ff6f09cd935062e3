# SPDX-License-Identifier: Apache-2.0
import dataclasses

import harness
import pytest
from numpy_models import NumpyViT

from mixer_tf.models import costs, vit_config
from mixer_tf.models.vit import VisionTransformer
from mixer_tf.models.vit_config import ViTConfig

# With 1000 classes at 224 pixels: vit_jax/models_test.py of google-research/vision_transformer.
AUTHORS = {
    "vit_ti16": 5_717_416,
    "vit_s32": 22_878_952,
    "vit_s16": 22_050_664,
    "vit_b32": 88_224_232,
    "vit_b16": 86_567_656,
    "vit_b8": 86_576_872,
    "vit_l32": 306_535_400,
    "vit_l16": 304_326_632,
    "vit_h14": 632_045_800,
}
AUTHORS_GAP = {"vit_s16": 22_049_896, "vit_s32": 22_878_184, "vit_b16": 86_566_120}


def config(name, image_size=224, **fields):
    return ViTConfig(image_size=image_size, **{**vit_config.parse(name)[1], **fields})


def test_no_model_is_missing_from_the_authors_table():
    assert set(vit_config.NAMES) <= set(AUTHORS)


@pytest.mark.parametrize("name", AUTHORS)
def test_parameters_match_the_authors(name):
    assert costs.count_parameters(config(name)) == AUTHORS[name]


@pytest.mark.parametrize("name", AUTHORS_GAP)
def test_parameters_without_class_token_match_the_authors(name):
    assert costs.count_parameters(config(name, classifier="gap")) == AUTHORS_GAP[name]


def test_representation_layer_and_another_head_are_counted():
    # ViT-B/16 of the ViT paper on ImageNet-21k: 768² + 768 more, and 21,843 classes.
    expected = AUTHORS["vit_b16"] + 768 * 769 + 769 * (21_843 - 1000)
    given = config("vit_b16", representation_size=768, num_classes=21_843)
    assert costs.count_parameters(given) == expected


@pytest.mark.parametrize("fields", [{}, {"classifier": "gap"}, {"representation_size": 6}])
@pytest.mark.parametrize("num_classes", [0, 5])
def test_costs_match_the_computation(pixels, fields, num_classes):
    tiny = ViTConfig(**{**harness.TINY_VIT, "num_classes": num_classes, **fields})
    model = VisionTransformer(**dataclasses.asdict(tiny))
    reference = NumpyViT(harness.weights_by_name(model), 4, 2)
    reference(pixels[:1])
    assert costs.count_parameters(tiny) == model.count_params()
    assert costs.count_multiply_adds(tiny) == reference.multiply_adds


@pytest.mark.slow
@pytest.mark.parametrize("name", vit_config.NAMES)
def test_every_built_model_has_the_authors_parameters(name):
    model = VisionTransformer(**dataclasses.asdict(config(name)))
    assert model.count_params() == AUTHORS[name]


@pytest.mark.parametrize("name", ["vit_b16", "ViT-B/16", "ViT-B_16", "vit-b16"])
def test_a_name_has_several_spellings(name):
    assert vit_config.parse(name)[0] == "vit_b16"


@pytest.mark.parametrize("name", ["b16", "B/16", "mixer_b16", "vit_x16", "vit_b0", "vit_b"])
def test_other_names_are_not_a_vit(name):
    assert vit_config.parse(name) is None


def test_all_sizes_except_h_have_one_head_per_64_channels():
    heads = {name: config(name).num_heads for name in AUTHORS}
    assert heads["vit_ti16"] == 3 and heads["vit_s16"] == 6 and heads["vit_b16"] == 12
    assert heads["vit_l16"] == heads["vit_h14"] == 16


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(num_heads=5), "num_heads must divide hidden_dim; got num_heads=5, hidden_dim=768. U"),
        (dict(num_heads=0), "num_heads must be at least 1; got 0"),
        (dict(classifier="map"), "classifier must be one of token, gap; got 'map'"),
        (dict(representation_size=0), "representation_size must be at least 1; got 0"),
        (dict(attention_dropout=1.0), "attention_dropout must be at least 0 and less than 1; got"),
        (dict(image_size=100), "patch_size must divide image_size; got patch_size=16"),
    ],
    ids=str,
)
def test_impossible_values_are_errors(fields, message):
    with pytest.raises(ValueError, match=message):
        config("vit_b16", **fields)
