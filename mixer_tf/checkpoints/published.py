# SPDX-License-Identifier: Apache-2.0
"""The Mixers whose weights their authors have published. Data only: nothing is downloaded here.

Which files there are is stated by:

* imagenet1k, imagenet21k: google-research/big_vision, models/mlp_mixer.py, function `load`, and
  google-research/vision_transformer, README.md, "Available Mixer models".
* sam, gsam: the same README.md names the folders; the files in them are those that public code
  loads by their addresses. Both were trained on ImageNet, so have its 1000 classes.

No size and no hash is published; see `downloading.py` for what a download is checked against.
"""

from __future__ import annotations

import dataclasses

_BUCKET = "https://storage.googleapis.com/mixer_models"
_PAGE = "https://github.com/google-research/vision_transformer"


@dataclasses.dataclass(frozen=True)
class KnownCheckpoint:
    """Where published weights lie, and what they are.

    Attributes:
        name: the model, then what it was trained on: "mixer_b16_imagenet21k".
        model: the architecture, a name for `create_model`.
        address: of the file. Several files share their last part: the whole address is the key.
        num_classes: outputs of the head.
        trained_on: the images, and the method where it is not the paper's.
        image_size: pixels.
        licence: of the weights, by its SPDX name.
        page: where the authors describe them.
    """

    name: str
    model: str
    address: str
    num_classes: int
    trained_on: str
    image_size: int = 224
    licence: str = "Apache-2.0"
    page: str = _PAGE


def _published(folder: str, num_classes: int, trained_on: str, files: str):
    for file in files.split():
        model = f"mixer_{file.replace('_', '').lower()}"
        yield KnownCheckpoint(
            name=f"{model}_{folder}",
            model=model,
            address=f"{_BUCKET}/{folder}/Mixer-{file}.npz",
            num_classes=num_classes,
            trained_on=trained_on,
        )


KNOWN = {
    checkpoint.name: checkpoint
    for checkpoint in (
        *_published("imagenet1k", 1000, "ImageNet", "B_16 L_16"),
        *_published("imagenet21k", 21843, "ImageNet-21k", "B_16 L_16"),
        *_published("sam", 1000, "ImageNet, by SAM (arXiv:2106.01548)", "B_16 B_32"),
        *_published(
            "gsam", 1000, "ImageNet, by GSAM (arXiv:2203.08065)", "S_8 S_16 S_32 B_16 B_32"
        ),
    )
}
