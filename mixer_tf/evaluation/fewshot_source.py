# SPDX-License-Identifier: Apache-2.0
"""Few-shot probes of a model on a source of images. What `mixer fewshot` calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mixer_tf import images
from mixer_tf.datasets.sources.source import Source
from mixer_tf.evaluation import fewshot
from mixer_tf.evaluation.fewshot import Features
from mixer_tf.evaluation.fewshot_report import FewShotReport
from mixer_tf.evaluation.image_features import LAYER, FeatureExtractor, read_features
from mixer_tf.messages import with_examples

_PREPROCESSING = {
    "resize": "resized to {side} x {side}",
    "resize_crop": "resized to {larger} x {larger}, then the center {side} x {side}",
    "resmall_crop": "shorter side resized to {larger}, then the center {side} x {side}",
}


def probe_source(
    extractor: FeatureExtractor,
    source: Source,
    train: Sequence[str],
    test: Sequence[str],
    *,
    shots: Sequence[int] = fewshot.SHOTS,
    leave_out: bool = False,
    seeds: Sequence[int] = fewshot.SEEDS,
    cache: str | None = None,
    batch_size: int = 64,
    progress: Callable[[str, int, int], None] | None = None,
) -> FewShotReport:
    """Computes the features of each image once, and probes them.

    Args:
        extractor: the model.
        source: an open source.
        train: the splits that shots are drawn from.
        test: the splits to measure on.
        shots: numbers of training images of each class.
        leave_out: whether a number that no class has is left out with a note, not an error.
        seeds: seeds of the draws.
        cache, batch_size: see `read_features`.
        progress: called with a title and the numbers of finished and of all images.

    Raises:
        ValueError: no image can be used, or no class has as many images as stated shots.
    """

    def features_of(title: str, splits: Sequence[str]):
        show = progress and (lambda done, total: progress(title, done, total))
        return read_features(
            extractor, source, splits, cache=cache, batch_size=batch_size, progress=show
        )

    trained, tested = features_of("training images", train), features_of("test images", test)
    problems = (*trained.problems, *tested.problems)
    _require_images(source, {"train": train, "test": test}, (trained, tested), problems)
    facts = {
        "source": source.spec,
        **describe(extractor),
        "train": {"splits": list(train), "images": len(trained.features)},
        "test": {"splits": list(test), "images": len(tested.features)},
        "classes": len(source.class_names),
    }
    return probe(
        trained.features,
        tested.features,
        source.class_names,
        facts,
        shots=shots,
        leave_out=leave_out,
        seeds=seeds,
        notes=unusable_notes(problems),
    )


def probe(
    train: Features,
    test: Features,
    class_names: Sequence[str],
    facts: dict[str, object],
    *,
    shots: Sequence[int] = fewshot.SHOTS,
    leave_out: bool = False,
    seeds: Sequence[int] = fewshot.SEEDS,
    notes: Sequence[str] = (),
) -> FewShotReport:
    """Probes features; the arguments are those of `probe_source` and `FewShotReport`.

    Where numbers of shots are left out and none remains, the report has no result.
    """
    chosen = list(shots)
    if leave_out:
        chosen = fewshot.possible_shots(train, len(class_names), shots)
    left_out = [number for number in shots if number not in chosen]
    results = fewshot.evaluate(train, test, len(class_names), chosen, seeds) if chosen else []
    found = [f"{number} shots: no class has as many training images" for number in left_out]
    found += fewshot.notes(train, test, class_names, chosen)
    return FewShotReport(results, seeds, {**facts, "l2": fewshot.L2}, (*notes, *found))


def describe(extractor: FeatureExtractor) -> dict[str, object]:
    """Returns what the features are, as facts of a `FewShotReport`."""
    side = extractor.image_size
    sizes = {"side": side, "larger": images.size_before_crop(side)}
    return {
        "features": {"layer": LAYER, "dimension": extractor.dim},
        "preprocessing": _PREPROCESSING[extractor.crop].format(**sizes),
    }


def unusable_notes(problems: Sequence[tuple[str, str]]) -> list[str]:
    """Returns one line about images, as (path, reason), that could not be used."""
    if not problems:
        return []
    shown = with_examples([f"{path}: {reason}" for path, reason in problems], 3, str, "; ")
    return [f"images that cannot be used, which were left out: {shown}"]


def _require_images(source: Source, splits, found, problems) -> None:
    for (role, names), features in zip(splits.items(), found, strict=True):
        if not len(features.features):
            unusable = f"; {len(problems):,} cannot be used" if problems else ""
            raise ValueError(
                f"a probe must have usable {role} images; {source.spec} has none in the split "
                f"{' and '.join(names)}{unusable}. Its splits: {', '.join(source.splits)}."
            )
