# SPDX-License-Identifier: Apache-2.0
"""The error for a checkpoint that does not fit a model."""

import functools

import pytest

from mixer_tf.checkpoints.layouts import mixer
from mixer_tf.checkpoints.matching import check_fit


@pytest.fixture
def shapes():
    return {
        "stem/kernel": (16, 16, 3, 768),
        **{f"MixerBlock_{i}/token_mixing/Dense_0/kernel": (196, 384) for i in range(12)},
        **{f"MixerBlock_{i}/channel_mixing/Dense_0/kernel": (768, 3072) for i in range(12)},
        "head/kernel": (768, 1000),
    }


def check(expected, found) -> None:
    """Calls `check_fit` as `load_weights` does for a Mixer."""
    hint = functools.partial(mixer.hint, model=None)
    title = "the checkpoint a.npz must fit the model mine; it does not."
    check_fit(expected, found, title, head=mixer.HEAD, repeated=mixer.REPEATED, hint=hint)


def message(expected, found) -> str:
    with pytest.raises(ValueError) as raised:
        check(expected, found)
    return str(raised.value)


def test_equal_names_and_shapes_fit_in_any_order(shapes):
    check(shapes, dict(reversed(shapes.items())))


def test_one_error_lists_all_names(shapes):
    found = {**shapes, "step": (), "MixerBlock_3/more/bias": (2,), "stem/kernel": (8, 8, 3, 768)}
    for i in (0, 1, 2, 7):
        del found[f"MixerBlock_{i}/channel_mixing/Dense_0/kernel"]
    found["MixerBlock_11/channel_mixing/Dense_0/kernel"] = (768,)
    assert message(shapes, found) == (
        "the checkpoint a.npz must fit the model mine; it does not.\n"
        "  missing in the checkpoint:\n"
        "    MixerBlock_{0-2,7}/channel_mixing/Dense_0/kernel\n"
        "  extra in the checkpoint:\n"
        "    step\n"
        "    MixerBlock_3/more/bias\n"
        "  wrong shape:\n"
        "    stem/kernel is [8, 8, 3, 768], must be [16, 16, 3, 768]\n"
        "    MixerBlock_11/channel_mixing/Dense_0/kernel is [768], must be [768, 3072]\n"
        "The checkpoint is for a Mixer: patch_size=8, num_blocks=12, hidden_dim=768, "
        "tokens_mlp_dim=384, channels_mlp_dim=None."
    )


def test_a_checkpoint_for_another_model_of_the_paper_is_named(shapes):
    assert message({**shapes, "stem/kernel": (32, 32, 3, 512)}, shapes).endswith(
        "The checkpoint is for mixer_b16: patch_size=16, num_blocks=12, hidden_dim=768, "
        "tokens_mlp_dim=384, channels_mlp_dim=3072."
    )


def test_a_checkpoint_of_another_architecture_is_not_a_mixer(shapes):
    assert message(shapes, {"Transformer/posembed_input/pos_embedding": (1, 197, 768)}).endswith(
        "This is not a Mixer checkpoint."
    )


def test_another_grid_says_how_to_resize(shapes):
    smaller = {name: (49, 384) if "token" in name else shape for name, shape in shapes.items()}
    assert message(smaller, shapes).endswith("(model, image_size=…, interpolate=True).")
    assert message(shapes, smaller).endswith("or give this model tokens_mlp_dim=1536.")
