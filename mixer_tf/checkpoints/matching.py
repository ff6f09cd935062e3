# SPDX-License-Identifier: Apache-2.0
"""Does a checkpoint fit a model? If not, one error says everything that does not."""

from __future__ import annotations

import math
import re
from collections import defaultdict

from mixer_tf.checkpoints.stored import Shape
from mixer_tf.models.presets import SIZES

FIRST_TOKEN_KERNEL = "MixerBlock_0/token_mixing/Dense_0/kernel"  # [tokens, tokens_mlp_dim]
FIRST_CHANNEL_KERNEL = "MixerBlock_0/channel_mixing/Dense_0/kernel"
HEAD = ("head/kernel", "head/bias")

_BLOCK = re.compile(r"^MixerBlock_(\d+)/")


def check_fit(expected: dict[str, Shape], found: dict[str, Shape], path: str, model: str) -> None:
    """Raises ValueError unless both have the same names and shapes.

    Args:
        expected: the shapes of the model's weights.
        found: the shapes of the checkpoint's.
        path: of the checkpoint, for the message.
        model: name of the model, for the message.
    """
    missing = {name: "" for name in expected if name not in found}
    extra = {name: "" for name in found if name not in expected}
    misshapen = {
        name: f" is {_text(found[name])}, must be {_text(shape)}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    }
    if not (missing or extra or misshapen):
        return
    lines = [f"the checkpoint {path} must fit the model {model}; it does not."]
    for title, entries in (
        ("missing in the checkpoint", missing),
        ("extra in the checkpoint", extra),
        ("of another shape", misshapen),
    ):
        if entries:
            lines += [f"  {title}:", *(f"    {line}" for line in _join_blocks(entries))]
    lines += _advice(expected, found, {**missing, **extra, **misshapen})
    raise ValueError("\n".join(lines))


def _join_blocks(entries: dict[str, str]) -> list[str]:
    """One line for all blocks that have the same to say: "MixerBlock_{8-11}/… is …"."""
    blocks = defaultdict(list)
    for name, text in entries.items():
        match = _BLOCK.match(name)
        blocks[_BLOCK.sub("MixerBlock_#/", name) + text].append(int(match[1]) if match else None)
    return [line.replace("#", _ranges(numbers), 1) for line, numbers in blocks.items()]


def _ranges(numbers: list[int]) -> str:
    """[3] -> "3"; [0, 1, 2, 5] -> "{0-2,5}"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return texts[0] if len(numbers) == 1 else f"{{{','.join(texts)}}}"


def _text(shape: Shape) -> str:
    return str(list(shape))


def _advice(
    expected: dict[str, Shape], found: dict[str, Shape], wrong: dict[str, str]
) -> list[str]:
    """What to do about it, as far as the shapes tell."""
    wrong = [name for name in wrong if name not in HEAD]
    if not wrong:
        return ['Use head="new" for a new head.']
    if not any(map(_BLOCK.match, found)):
        return ["It is not the checkpoint of a Mixer."]
    theirs, ours = _axis(found, FIRST_TOKEN_KERNEL, 0), _axis(expected, FIRST_TOKEN_KERNEL, 0)
    if theirs and ours and theirs != ours and all("/token_mixing/" in name for name in wrong):
        return [_resolution_advice(theirs, ours, _axis(found, FIRST_TOKEN_KERNEL, 1))]
    return [f"The checkpoint is of {_describe(found)}."]


def _resolution_advice(theirs: int, ours: int, width: int) -> str:
    """Everything fits but the token mixing: the images are of another size."""
    factor = math.isqrt(ours // theirs)
    advice = (
        f"The checkpoint is for {theirs} patches, the model for {ours}. Load it into a model for "
        "images of its own size, and then use mixer_tf.upscale"
    )
    if factor > 1 and factor**2 * theirs == ours:
        wider = factor**2 * width
        return f"{advice}(model, factor={factor}); or give this model tokens_mlp_dim={wider}."
    return f"{advice}(model, image_size=…, interpolate=True)."


def _describe(found: dict[str, Shape]) -> str:
    """The dimensions of the Mixer of these shapes, and its name where the paper has one."""
    patch = _axis(found, "stem/kernel", 0)
    dimensions = {
        "num_blocks": len({match[1] for match in map(_BLOCK.match, found) if match}),
        "hidden_dim": _axis(found, "stem/kernel", 3),
        "tokens_mlp_dim": _axis(found, FIRST_TOKEN_KERNEL, 1),
        "channels_mlp_dim": _axis(found, FIRST_CHANNEL_KERNEL, 1),
    }
    names = [f"mixer_{size}{patch}" for size, known in SIZES.items() if known == dimensions]
    text = ", ".join(f"{field}={value}" for field, value in dimensions.items())
    return f"{names[0] if names else 'a Mixer'}: patch_size={patch}, {text}"


def _axis(shapes: dict[str, Shape], name: str, axis: int) -> int | None:
    """Returns the length of one axis, or None where there is none."""
    shape = shapes.get(name, ())
    return shape[axis] if axis < len(shape) else None
