# SPDX-License-Identifier: Apache-2.0
"""The list of published checkpoints."""

from mixer_tf.checkpoints import KNOWN
from mixer_tf.checkpoints.downloading import cached_path
from mixer_tf.models import describe

PUBLISHED = """
imagenet1k/Mixer-B_16 imagenet1k/Mixer-L_16 imagenet21k/Mixer-B_16 imagenet21k/Mixer-L_16
sam/Mixer-B_16 sam/Mixer-B_32
gsam/Mixer-S_8 gsam/Mixer-S_16 gsam/Mixer-S_32 gsam/Mixer-B_16 gsam/Mixer-B_32
"""


def test_every_published_file_is_known_by_its_url():
    expected = {f"https://storage.googleapis.com/mixer_models/{f}.npz" for f in PUBLISHED.split()}
    assert {known.url for known in KNOWN.values()} == expected
    assert len({cached_path(url) for url in expected}) == len(expected)


def test_a_name_consists_of_model_and_training_data():
    known = KNOWN["mixer_b16_imagenet21k"]
    assert (known.model, known.num_classes, known.image_size) == ("mixer_b16", 21843, 224)
    assert known.license == "Apache-2.0"
    assert "imagenet21k" in known.url
    for name, known in KNOWN.items():
        assert name == known.name
        patch = describe(known.model).config.patch_size
        assert known.url.endswith(f"_{patch}.npz")
