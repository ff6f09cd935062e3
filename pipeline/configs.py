# SPDX-License-Identifier: Apache-2.0
"""PipelineConfig: everything that one run of the pipeline is given, as one validated object.

It holds names alone. Making one opens no source, no file and no connection.
"""

from __future__ import annotations

import dataclasses
import os

from components.endpoint_deployer.deployment import Deployment
from components.fixed_fields import FIXED
from mixer_tf import storage
from mixer_tf.datasets.quarantine_limit import QuarantineLimit
from mixer_tf.datasets.statistics_limits import StatisticsLimits
from mixer_tf.deduplication.modes import MODES, REMOVE
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.thresholds import DUPLICATE
from mixer_tf.images.headers import MIN_SIDE
from mixer_tf.messages import require_no_credentials
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training import cluster
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.profiled_steps import ProfiledSteps
from mixer_tf.training.search_space import Search

# The features that every example must have, as TensorFlow Data Validation checks them.
SCHEMA_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schema.pbtxt")

# Without deduplication the graph has no Deduplicator.
OFF = "off"
DEDUPLICATE = (*MODES, OFF)

MAX_ACCURACY_DROP = 0.01

# Where a run finds what earlier runs have left.
METADATA, FILES = "metadata", "files"
HISTORIES = (METADATA, FILES)
REFERENCE_FOLDER = "reference_statistics"  # below the root, with FILES

# Where the InfraValidator starts TensorFlow Serving.
DOCKER, KUBERNETES = "docker", "kubernetes"
INFRA_VALIDATORS = (DOCKER, KUBERNETES, OFF)


@dataclasses.dataclass(frozen=True)
class Fingerprints:
    """What the cache of a step must know beyond its inputs: the state of its code and its data.

    Attributes:
        image_example_gen, deduplicator, image_statistics, import_schema_gen, drift_validator,
            preprocessor, tuner, trainer, evaluator, few_shot_evaluator, model_checker, pusher,
            bulk_predictor, run_report: one opaque string for each step; a step runs again when its
            string has changed.
    """

    image_example_gen: str = ""
    deduplicator: str = ""
    image_statistics: str = ""
    import_schema_gen: str = ""
    drift_validator: str = ""
    preprocessor: str = ""
    tuner: str = ""
    trainer: str = ""
    evaluator: str = ""
    few_shot_evaluator: str = ""
    model_checker: str = ""
    pusher: str = ""
    bulk_predictor: str = ""
    run_report: str = ""


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
    """One run of the pipeline.

    Attributes:
        name: the pipeline's name in ML Metadata, Kubeflow or Vertex.
        root: the folder (or bucket path) under which everything is written.
        source: where the images come from: "digits", "tfds:NAME[:CONFIG]", "folder:PATH",
            "tfrecord:GLOB" or "csv:PATH".
        recipe: the model and how it is trained.
        data_dir: the folder of prepared TFDS datasets; None for the default of TFDS.
        exclude: a file of images that are left out of every split; see
            `excluded_images.exclude_listed`. None for none.
        downstream_test_sets: further sources whose images must not be in the training split.
        deduplicate: "remove" removes training images that are near-duplicates of evaluation and
            test images, and evaluation images that are near-duplicates of test images; "mark"
            removes none and marks the evaluation and test images that have a duplicate in training,
            by which the Evaluator then slices; "report" only lists them; "off" does not search for
            them.
        deduplicate_train: also search for near-duplicates within training; one of each pair is
            kept.
        duplicate_threshold: similarity, 0.2 to 1, from which two photographs are near-duplicates.
        keep_duplicates: a file of images that are never removed; see
            `kept_images.read`. None for no such images.
        max_quarantined: how many images may be unusable before the Preprocessor fails, such as
            "20" or "1%"; None for any number, as long as one training image is usable.
        statistics_limits: the thresholds above which ImageStatistics reports an anomaly.
        min_accuracy: top-1 accuracy on the test split, in [0, 1], below which nothing is pushed.
            None: a model must be right more often than always predicting the largest class.
        max_accuracy_drop: how far top-1 accuracy may fall below the last blessed model's.
        history: where the earlier model, for `max_accuracy_drop` and `warm_start`, and the last
            accepted data are looked up: "metadata" is ML Metadata, by Resolvers. "files" are those
            that earlier runs have left below the root: the newest pushed model, and statistics. Of
            Resolvers, Kubeflow Pipelines v2 has none, and those of Vertex AI do not tell the
            pipelines of a project apart.
        allow_drift: whether data whose distribution has moved away from that of the last accepted
            data may be pushed, and become what later runs are compared with.
        warm_start: whether the training starts from the last blessed model of the same classes, if
            there is one, instead of from the weights of the recipe.
        search: the hyperparameters that a Tuner tries before the training, which uses the best of
            them by the evaluation split; None to train the recipe as it is.
        few_shot: numbers of training images of each class for linear probes of the trained model,
            such as (5, 10); () for no probes.
        infra_validator: "docker" or "kubernetes" for TFX's InfraValidator, which loads the model
            there in TensorFlow Serving and sends requests; "off" for the ModelChecker alone.
        predict: images to classify with the blessed model: "images:FOLDER", or a source as above;
            None for none.
        strategy: the name of a tf.distribute strategy, as `distribution.create_strategy` takes it.
        checkpoint_minutes: the training saves at least every so many minutes; no step is repeated
            because of another number.
        checkpoint_steps: it saves after so many steps as well; None to do so by time alone.
        keep_checkpoints: number of last checkpoints to keep.
        profile: the steps of the training to trace for TensorBoard's profiler, as
            `ProfiledSteps.parse` reads them, such as "10:20"; None for none.
        keep_versions: number of pushed versions that stay; None for all of them.
        serving_dir: the folder to which models are pushed; None for `<root>/serving`.
        beam_args: options for Apache Beam, passed on unchanged to the steps that run on it. None
            means Beam's runner in this process; with any, TFX packages itself for remote workers,
            in each of these steps.
        deployment: the endpoint of Vertex AI that serves the models; None for no endpoint.
        report: whether the last step writes one page about the run.
        enable_cache: whether a step whose inputs and code are unchanged is skipped.
        fingerprints: see `Fingerprints`.
        fingerprint_data: whether a first step finds the state of the data when a run starts. Only
            where the source is not open when the graph is made, as for a cluster.
    """

    name: str
    root: str
    source: str
    recipe: Recipe
    data_dir: str | None = None
    exclude: str | None = None
    downstream_test_sets: tuple[str, ...] = ()
    deduplicate: str = REMOVE
    deduplicate_train: bool = False
    duplicate_threshold: float = DUPLICATE
    keep_duplicates: str | None = None
    max_quarantined: str | None = None
    statistics_limits: StatisticsLimits = StatisticsLimits()
    min_accuracy: float | None = None
    max_accuracy_drop: float = MAX_ACCURACY_DROP
    history: str = METADATA
    allow_drift: bool = False
    warm_start: bool = False
    search: Search | None = None
    few_shot: tuple[int, ...] = ()
    infra_validator: str = OFF
    predict: str | None = None
    strategy: str = "auto"
    checkpoint_minutes: float = CheckpointOptions.minutes
    checkpoint_steps: int | None = None
    keep_checkpoints: int = CheckpointOptions.keep
    profile: str | None = None
    keep_versions: int | None = 5
    serving_dir: str | None = None
    beam_args: tuple[str, ...] = ()
    deployment: Deployment | None = None
    report: bool = True
    enable_cache: bool = True
    fingerprints: Fingerprints = Fingerprints()
    fingerprint_data: bool = False

    def __post_init__(self):
        if not self.name:
            raise ValueError("name must not be empty; got ''. Use a word such as 'pets'.")
        # TFX stores them in ML Metadata; it does not store beam_args.
        stored = ("root", "source", "data_dir", "exclude", "downstream_test_sets", "serving_dir")
        stored += ("keep_duplicates", "predict")
        require_no_credentials(
            {name: getattr(self, name) for name in stored}
            | {"model.weights": self.recipe.model.weights}
        )
        for field in ("min_accuracy", "max_accuracy_drop"):
            value = getattr(self, field)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{field} must be a fraction from 0 to 1; got {value}.")
        for name in ("root", "serving_dir"):
            storage.require_literal(getattr(self, name) or "", name)
        cluster.parse_strategy(self.strategy)
        _ = self.checkpoints
        if self.profile is not None:
            ProfiledSteps.parse(self.profile)
        if self.infra_validator not in INFRA_VALIDATORS:
            raise ValueError(
                f"infra_validator must be one of {', '.join(INFRA_VALIDATORS)}; got "
                f"{self.infra_validator!r}."
            )
        if self.history not in HISTORIES:
            raise ValueError(
                f"history must be one of {', '.join(HISTORIES)}; got {self.history!r}."
            )
        if any(number < 1 for number in self.few_shot):
            raise ValueError(
                f"few_shot must be numbers of images of at least 1; got {min(self.few_shot)}."
            )
        self._require_valid_deduplication()
        if self.max_quarantined is not None:
            QuarantineLimit.parse(self.max_quarantined)
        self._require_valid_search()
        side = self.recipe.data.train_shorter_side
        if side is not None and side < MIN_SIDE:
            raise ValueError(
                f"data.train_shorter_side must be at least {MIN_SIDE} pixels; got {side}. "
                "Smaller images are not usable."
            )

    def _require_valid_deduplication(self) -> None:
        if self.deduplicate not in DEDUPLICATE:
            raise ValueError(
                f"deduplicate must be one of {', '.join(DEDUPLICATE)}; got {self.deduplicate!r}."
            )
        DeduplicationOptions(threshold=self.duplicate_threshold)
        given = [
            option
            for option, is_given in (
                ("downstream_test_sets", bool(self.downstream_test_sets)),
                ("deduplicate_train", self.deduplicate_train),
                ("duplicate_threshold", self.duplicate_threshold != DUPLICATE),
                ("keep_duplicates", self.keep_duplicates is not None),
            )
            if is_given
        ]
        if self.deduplicate == OFF and given:
            raise ValueError(
                f"{', '.join(given)} must not be given with deduplicate={OFF!r}, which compares "
                f"no images; use {' or '.join(map(repr, MODES))}, or leave them out."
            )

    def _require_valid_search(self) -> None:
        if self.search is None:
            return
        if self.warm_start:
            raise ValueError(
                "a search must not be combined with a warm start, because each trial starts from "
                "the weights of the recipe; leave out --warm-start or --tune."
            )
        if cluster.parse_strategy(self.strategy)[0] == "multi_worker":
            raise ValueError(
                "a search must run on one machine, with one process for each trial; got strategy "
                "'multi_worker'. Use --strategy=auto, or search with mixer sweep first."
            )
        for point in self.search.points(self.recipe):
            if any(assignment.startswith(f"{FIXED}=") for assignment in point):
                raise ValueError(
                    f"{FIXED} must not be searched, because the Preprocessor reads it before the "
                    f"search; use --set {FIXED}=PIXELS."
                )

    @property
    def serving_path(self) -> str:
        """The folder whose numbered sub-folders TF Serving watches."""
        return self.serving_dir or os.path.join(self.root, "serving")

    @property
    def reference_path(self) -> str:
        """The folder of the statistics of the last accepted data, with the history "files"."""
        return os.path.join(self.root, REFERENCE_FOLDER)

    @property
    def checkpoint_path(self) -> str:
        """The folder in which an interrupted training finds its last epoch when it resumes."""
        return os.path.join(self.root, "checkpoints")

    @property
    def checkpoints(self) -> CheckpointOptions:
        """When the training saves, and how much of it stays."""
        return CheckpointOptions(
            self.checkpoint_minutes, self.checkpoint_steps, self.keep_checkpoints
        )

    @property
    def training_environment(self) -> dict[str, str]:
        """The environment variables of the Trainer, which the cache of its step does not know."""
        return self.checkpoints.environment()

    @property
    def log_path(self) -> str | None:
        """The folder of the logs of all trainings of this pipeline, for TensorBoard.

        None with a bucket: the logs are then stored in the ModelRun artifact, where the pages of
        Kubeflow and Vertex look for them.
        """
        return None if storage.is_remote(self.root) else os.path.join(self.root, "logs")

    @property
    def trials_path(self) -> str:
        """The folder in which an interrupted search finds its trials when it resumes."""
        return os.path.join(self.root, "tuning")
