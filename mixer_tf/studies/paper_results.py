# SPDX-License-Identifier: Apache-2.0
"""What the paper reports of its models and of those that it compares them with. Data only.

Accuracies are after fine-tuning, in percent. Throughput and cost are on TPUv3.
"""

from __future__ import annotations

import dataclasses

# Table 1 of the last version, in millions, without the head; an earlier one prints others.
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


@dataclasses.dataclass(frozen=True)
class PaperResult:
    """One line of a table; None for what it does not report.

    Attributes:
        model: a name of `create_model` where there is one.
        pretraining: the data of the pre-training.
        image_size: in fine-tuning, in pixels.
        imagenet: top-1 on ImageNet.
        images_per_second: at inference, per core.
        kilo_core_days: of the pre-training, in thousands of core-days.
        table: of the paper.
        real: top-1 on ImageNet with ReaL labels.
        five_tasks: mean top-1 on ImageNet, CIFAR-10, CIFAR-100, Pets and Flowers.
    """

    model: str
    pretraining: str
    image_size: int | None
    imagenet: float
    images_per_second: int | None
    kilo_core_days: float
    table: int = 3
    real: float | None = None
    five_tasks: float | None = None


RESULTS = (
    PaperResult("mixer_b16", I1K, 224, 76.44, 1384, 0.01, real=82.36, five_tasks=88.33),
    PaperResult("mixer_l16", I1K, 224, 71.76, 419, 0.04, real=77.08, five_tasks=87.25),
    PaperResult("mixer_b16", I21K, 224, 80.64, 1384, 0.15, real=85.80, five_tasks=92.50),
    PaperResult("mixer_l16", I21K, 224, 82.89, 419, 0.41, real=87.54, five_tasks=93.63),
    PaperResult("mixer_l16", I21K, 448, 83.91, 105, 0.41, real=87.75, five_tasks=93.86),
    PaperResult("mixer_s32", JFT, 224, 68.70, 11489, 0.01),
    PaperResult("mixer_b32", JFT, 224, 75.53, 4208, 0.05),
    PaperResult("mixer_s16", JFT, 224, 73.83, 3994, 0.03),
    PaperResult("mixer_b16", JFT, 224, 80.00, 1384, 0.08),
    PaperResult("mixer_l32", JFT, 224, 80.67, 1314, 0.12),
    PaperResult("mixer_l16", JFT, 224, 84.82, 419, 0.45),
    PaperResult("mixer_h14", JFT, 224, 86.32, 194, 1.01),
    PaperResult("mixer_l16", JFT, 448, 86.78, 105, 0.45),
    PaperResult("mixer_h14", JFT, 448, 87.78, 40, 1.01),
    PaperResult("vit_b16", I21K, 224, 84.59, 861, 0.18),
    PaperResult("vit_l16", JFT, 224, 85.63, 280, 0.65),
    PaperResult("vit_h14", JFT, 224, 86.65, 87, 2.30),
    PaperResult("bit_r50x1", JFT, 224, 73.69, 2159, 0.08),
    PaperResult("bit_r152x2", JFT, 224, 83.34, 356, 0.58),
    PaperResult("bit_r200x3", JFT, 224, 84.73, 141, 1.78),
    PaperResult("HaloNet", I21K, None, 85.8, 120, 0.10, table=2),
    PaperResult("NFNet-F4+", JFT, None, 89.2, 46, 1.86, table=2),
    PaperResult("MPL", JFT, None, 90.0, None, 20.48, table=2),
    PaperResult("ALIGN", "noisy image texts", None, 88.64, 15, 14.82, table=2),
)


def results_of(model: str) -> list[PaperResult]:
    """Returns what the paper reports of a model; often nothing."""
    return [result for result in RESULTS if result.model == model]
