# SPDX-License-Identifier: Apache-2.0
"""The Mixer checkpoints that their authors published. Data only: nothing is downloaded here.

Sources of the list:

* imagenet1k, imagenet21k: google-research/big_vision, models/mlp_mixer.py, function `load`, and
  google-research/vision_transformer, README.md, "Available Mixer models".
* sam, gsam: the same README.md names the folders; the files in them are those that public code
  loads by URL. Both were trained on ImageNet, so the models have its 1000 classes.

No sizes or hashes are published; `downloading.py` describes how a download is verified.
"""

from __future__ import annotations

import dataclasses

_BUCKET = "https://storage.googleapis.com/mixer_models"
_PAGE = "https://github.com/google-research/vision_transformer"


@dataclasses.dataclass(frozen=True)
class KnownCheckpoint:
    """A published checkpoint.

    Attributes:
        name: model name and training data: "mixer_b16_imagenet21k".
        model: architecture, a name for `create_model`.
        url: URL of the file. Several files have the same base name, so the whole URL is the key.
        num_classes: number of outputs of the classification head.
        trained_on: training data, and the training method if it is not the paper's.
        image_size: height and width of the input images in pixels.
        license: SPDX name of the weights' license.
        page: web page on which the authors describe the weights.
    """

    name: str
    model: str
    url: str
    num_classes: int
    trained_on: str
    image_size: int = 224
    license: str = "Apache-2.0"
    page: str = _PAGE


def _published(folder: str, num_classes: int, trained_on: str, files: str):
    for file in files.split():
        model = f"mixer_{file.replace('_', '').lower()}"
        yield KnownCheckpoint(
            name=f"{model}_{folder}",
            model=model,
            url=f"{_BUCKET}/{folder}/Mixer-{file}.npz",
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
