# SPDX-License-Identifier: Apache-2.0
"""PipelineConfig: all that one run of the pipeline can be told, as one validated object."""

from __future__ import annotations

import dataclasses
import os

from mixer_tf.images.headers import MIN_SIDE
from mixer_tf.recipes.schema import Recipe


@dataclasses.dataclass(frozen=True)
class Fingerprints:
    """What the cache of a step must know beyond its inputs: the state of its code and its data.

    Attributes:
        image_example_gen, deduplicator, preprocessor, trainer, model_checker, pusher: one opaque
            string for each step; a step runs again when its string has changed.
    """

    image_example_gen: str = ""
    deduplicator: str = ""
    preprocessor: str = ""
    trainer: str = ""
    model_checker: str = ""
    pusher: str = ""


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
    """One run of the pipeline.

    Attributes:
        name: the pipeline's name in ML Metadata, Kubeflow or Vertex.
        root: the folder (or bucket path) under which everything is written.
        source: where the images come from: "digits", "tfds:NAME[:CONFIG]", "folder:PATH",
            "tfrecord:GLOB" or "csv:PATH".
        recipe: the model and how it is trained.
        data_dir: where prepared TFDS datasets lie; None for the default of TFDS.
        downstream_test_sets: further sources whose images must not be in the training split.
        deduplicate_train: also keep one image only of every near-duplicate pair within training.
        shorter_side: pixels to which larger images are reduced before training; None keeps them.
        min_accuracy: top-1 in [0, 1] on the test split below which nothing is pushed.
        max_accuracy_drop: how far top-1 may fall below the last blessed model's.
        strategy: the word from which the tf.distribute strategy is made.
        serving_dir: where models are pushed; None for `<root>/serving`.
        beam_args: options for Apache Beam, handed on as they are. None means Beam's runner in
            this process; with any, TFX packs itself for workers elsewhere, in every step.
        enable_cache: whether a step whose inputs and code are unchanged is skipped.
        fingerprints: see `Fingerprints`.
    """

    name: str
    root: str
    source: str
    recipe: Recipe
    data_dir: str | None = None
    downstream_test_sets: tuple[str, ...] = ()
    deduplicate_train: bool = False
    shorter_side: int | None = None
    min_accuracy: float = 0.0
    max_accuracy_drop: float = 0.01
    strategy: str = "auto"
    serving_dir: str | None = None
    beam_args: tuple[str, ...] = ()
    enable_cache: bool = True
    fingerprints: Fingerprints = Fingerprints()

    def __post_init__(self):
        if not self.name:
            raise ValueError("name must not be empty; got ''. Use a word such as 'pets'.")
        for field in ("min_accuracy", "max_accuracy_drop"):
            value = getattr(self, field)
            if not 0 <= value <= 1:
                raise ValueError(f"{field} must be a fraction from 0 to 1; got {value}.")
        if self.shorter_side is not None and self.shorter_side < MIN_SIDE:
            raise ValueError(
                f"shorter_side must be at least {MIN_SIDE} pixels; got {self.shorter_side}."
            )

    @property
    def serving_path(self) -> str:
        """The folder whose numbered sub-folders TF Serving watches."""
        return self.serving_dir or os.path.join(self.root, "serving")

    @property
    def checkpoint_path(self) -> str:
        """Where a training that was interrupted finds its last epoch again."""
        return os.path.join(self.root, "checkpoints")
