# SPDX-License-Identifier: Apache-2.0
"""The paper's results for its models and for those that it compares them with: Tables 1 to 3.

Accuracies are in percent, after fine-tuning. Throughput and cost were measured on TPUv3. Image
sizes that Table 2 does not print are those of the rows with the same throughput in Table 3.
"""

from __future__ import annotations

import dataclasses
import re

# Corrected Table 1; the first version of the paper has 10, 10, 46, 46, 188, 189 and 409.
MILLION_PARAMETERS = {
    "mixer_s32": 19,
    "mixer_s16": 18,
    "mixer_b32": 60,
    "mixer_b16": 59,
    "mixer_l32": 206,
    "mixer_l16": 207,
    "mixer_h14": 431,
}

I1K, I21K, JFT = "ImageNet", "ImageNet-21k", "JFT-300M"
# MPL: JFT-300M without its labels; ALIGN: image-text pairs.
WEAK = "unlabelled or weakly labelled data"


@dataclasses.dataclass(frozen=True)
class PaperResult:
    """One row of a table; None for values that the paper does not report.

    Attributes:
        model: name for `create_model`, if this package has the model.
        pretraining: pre-training dataset.
        epochs: number of pre-training epochs.
        image_size: image size in pixels during fine-tuning.
        imagenet: top-1 accuracy on ImageNet, in percent.
        real: top-1 accuracy on ImageNet with ReaL labels, in percent.
        five_tasks: mean top-1 accuracy on ImageNet, CIFAR-10, CIFAR-100, Pets and Flowers.
        images_per_second: inference throughput per core.
        kilo_core_days: pre-training cost in thousands of core-days.
        vtab: mean accuracy on the 19 tasks of VTAB-1k, which Table 2 alone reports.
        table: number of the paper's table.
    """

    model: str
    pretraining: str
    epochs: int | None
    image_size: int | None
    imagenet: float
    real: float | None
    five_tasks: float | None
    images_per_second: int | None
    kilo_core_days: float
    vtab: float | None = None
    table: int = 3

    @property
    def core_days(self) -> float:
        """Pre-training cost in core-days of TPUv3."""
        return 1000 * self.kilo_core_days

    @property
    def title(self) -> str:
        """The model as the paper writes it: "Mixer-B/16"."""
        return _title(self.model)


RESULTS = (
    PaperResult("mixer_b16", I1K, 300, 224, 76.44, 82.36, 88.33, 1384, 0.01),
    PaperResult("vit_b16", I1K, 300, 224, 79.67, 84.97, 90.79, 861, 0.02),
    PaperResult("mixer_l16", I1K, 300, 224, 71.76, 77.08, 87.25, 419, 0.04),
    PaperResult("vit_l16", I1K, 300, 224, 76.11, 80.93, 89.66, 280, 0.05),
    PaperResult("mixer_b16", I21K, 300, 224, 80.64, 85.80, 92.50, 1384, 0.15),
    PaperResult("vit_b16", I21K, 300, 224, 84.59, 88.93, 94.16, 861, 0.18),
    PaperResult("mixer_l16", I21K, 300, 224, 82.89, 87.54, 93.63, 419, 0.41),
    PaperResult("vit_l16", I21K, 300, 224, 84.46, 88.35, 94.49, 280, 0.55),
    PaperResult("mixer_l16", I21K, 300, 448, 83.91, 87.75, 93.86, 105, 0.41),
    PaperResult("mixer_s32", JFT, 5, 224, 68.70, 75.83, 87.13, 11489, 0.01),
    PaperResult("mixer_b32", JFT, 7, 224, 75.53, 81.94, 90.99, 4208, 0.05),
    PaperResult("mixer_s16", JFT, 5, 224, 73.83, 80.60, 89.50, 3994, 0.03),
    PaperResult("bit_r50x1", JFT, 7, 224, 73.69, 81.92, None, 2159, 0.08),
    PaperResult("mixer_b16", JFT, 7, 224, 80.00, 85.56, 92.60, 1384, 0.08),
    PaperResult("mixer_l32", JFT, 7, 224, 80.67, 85.62, 93.24, 1314, 0.12),
    PaperResult("bit_r152x1", JFT, 7, 224, 79.12, 86.12, None, 932, 0.14),
    PaperResult("bit_r50x2", JFT, 7, 224, 78.92, 86.06, None, 890, 0.14),
    PaperResult("bit_r152x2", JFT, 14, 224, 83.34, 88.90, None, 356, 0.58),
    PaperResult("mixer_l16", JFT, 7, 224, 84.05, 88.14, 94.51, 419, 0.23),
    PaperResult("mixer_l16", JFT, 14, 224, 84.82, 88.48, 94.77, 419, 0.45),
    PaperResult("vit_l16", JFT, 14, 224, 85.63, 89.16, 95.21, 280, 0.65),
    PaperResult("mixer_h14", JFT, 14, 224, 86.32, 89.14, 95.49, 194, 1.01),
    PaperResult("bit_r200x3", JFT, 14, 224, 84.73, 89.58, None, 141, 1.78),
    PaperResult("mixer_l16", JFT, 14, 448, 86.78, 89.72, 95.13, 105, 0.45),
    PaperResult("vit_h14", JFT, 14, 224, 86.65, 89.56, 95.57, 87, 2.30),
    PaperResult("mixer_h14", JFT, 14, 448, 87.78, 90.08, 95.62, 40, 1.01),
    PaperResult("vit_l16", JFT, 14, 512, 87.76, 90.54, 95.63, 32, 0.65),
    PaperResult("bit_r152x4", JFT, 40, 480, 87.54, 90.54, 95.33, 26, 9.90),
    PaperResult("vit_h14", JFT, 14, 518, 88.55, 90.72, 95.97, 15, 2.30),
    # Table 2: the largest image size of each model, and another evaluation crop for Mixer.
    PaperResult("HaloNet", I21K, None, None, 85.8, None, None, 120, 0.10, table=2),
    PaperResult("mixer_l16", I21K, 300, 448, 84.15, 87.86, 93.91, 105, 0.41, 74.95, table=2),
    PaperResult("vit_l16", I21K, None, 512, 85.30, 88.62, 94.39, 32, 0.18, 72.72, table=2),
    PaperResult("bit_r152x4", I21K, None, 480, 85.39, None, 94.04, 26, 0.94, 70.64, table=2),
    PaperResult("NFNet-F4+", JFT, None, None, 89.2, None, None, 46, 1.86, table=2),
    PaperResult("mixer_h14", JFT, 14, 448, 87.94, 90.18, 95.71, 40, 1.01, 75.33, table=2),
    PaperResult("bit_r152x4", JFT, 40, 480, 87.54, 90.54, 95.33, 26, 9.90, 76.29, table=2),
    PaperResult("vit_h14", JFT, 14, 518, 88.55, 90.72, 95.97, 15, 2.30, 77.63, table=2),
    PaperResult("MPL", WEAK, None, None, 90.0, 91.12, None, None, 20.48, table=2),
    PaperResult("ALIGN", WEAK, None, None, 88.64, None, None, 15, 14.82, 79.99, table=2),
)


def results_of(model: str) -> list[PaperResult]:
    """Returns the paper's results for a model; an empty list if there are none."""
    return [result for result in RESULTS if result.model == model]


def _title(model: str) -> str:
    if found := re.fullmatch(r"(mixer|vit)_([a-z]+)(\d+)", model):
        family, size, patch = found.groups()
        return f"{'Mixer' if family == 'mixer' else 'ViT'}-{size.upper()}/{patch}"
    if found := re.fullmatch(r"bit_r(\w+)", model):
        return f"BiT-R{found[1]}"
    return model
