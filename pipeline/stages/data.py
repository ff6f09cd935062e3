# SPDX-License-Identifier: Apache-2.0
"""The data stage: from a source to deduplicated, validated and preprocessed examples."""

from __future__ import annotations

import dataclasses

from tensorflow_data_validation import StatsOptions
from tfx.components import ExampleValidator, StatisticsGen
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.placeholder.placeholder import Placeholder
from tfx.types import BaseChannel, Channel

from components.artifacts import ReferenceStatistics
from components.data_fingerprint import DataFingerprint
from components.deduplicator import Deduplicator
from components.drift_validator import DriftValidator
from components.drift_validator.strategy import LatestOrNoArtifactStrategy
from components.image_example_gen import ImageExampleGen
from components.image_statistics import ImageStatistics
from components.import_schema_gen import ImportSchemaGen
from components.preprocessor import Preprocessor
from mixer_tf import features
from pipeline.configs import METADATA, OFF, SCHEMA_FILE, PipelineConfig
from pipeline.stages import stage

# Statistics of the encoded bytes and of the paths say nothing, cost half of the time, and would
# keep whole images among their most frequent values.
MEASURED = (features.FORMAT, features.LABEL, features.CLASS_NAME, features.WIDTH, features.HEIGHT)


@dataclasses.dataclass(frozen=True)
class DataStage(stage.Stage):
    """The components from a source of images to the examples of a trainer."""

    data_fingerprint: DataFingerprint | None
    image_example_gen: ImageExampleGen
    deduplicator: Deduplicator | None
    image_statistics: ImageStatistics
    statistics_gen: StatisticsGen
    import_schema_gen: ImportSchemaGen
    example_validator: ExampleValidator
    reference: Resolver | None
    drift_validator: DriftValidator
    preprocessor: Preprocessor

    @property
    def data_fingerprint_value(self) -> Placeholder | None:
        """The digest of the data, for other components; None where no step computes it."""
        return _value(self.data_fingerprint)

    @property
    def images(self) -> BaseChannel:
        """The examples of the last step before the Preprocessor: images in their own size."""
        if self.deduplicator:
            return self.deduplicator.outputs["deduplicated_examples"]
        return self.image_example_gen.outputs["examples"]


def create_data_stage(config: PipelineConfig) -> DataStage:
    """Reads the source, removes duplicates, measures and validates, and preprocesses each image."""
    fingerprints = config.fingerprints
    data_fingerprint = _create_data_fingerprint(config)
    image_example_gen = ImageExampleGen(
        source=config.source,
        data_dir=config.data_dir,
        exclude=config.exclude,
        fingerprint=fingerprints.image_example_gen,
        data_fingerprint=_value(data_fingerprint),
    )
    examples = image_example_gen.outputs["examples"]
    deduplicator = _create_deduplicator(config, examples, data_fingerprint)
    if deduplicator:
        examples = deduplicator.outputs["deduplicated_examples"]
    image_statistics = ImageStatistics(
        examples=examples,
        limits=config.statistics_limits,
        fingerprint=fingerprints.image_statistics,
    )
    statistics_gen = StatisticsGen(
        examples=examples, stats_options=StatsOptions(feature_allowlist=list(MEASURED))
    )
    import_schema_gen = ImportSchemaGen(
        schema_file=SCHEMA_FILE, fingerprint=fingerprints.import_schema_gen
    )
    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=import_schema_gen.outputs["schema"]
    )
    reference = _create_reference() if config.history == METADATA else None
    drift_validator = DriftValidator(
        statistics=statistics_gen.outputs["statistics"],
        schema=import_schema_gen.outputs["schema"],
        reference=reference and reference.outputs["reference"],
        allow_drift=config.allow_drift,
        reference_dir=None if reference else config.reference_path,
        fingerprint=fingerprints.drift_validator,
    )
    preprocessor = Preprocessor(
        examples=examples,
        train_shorter_side=config.recipe.data.train_shorter_side,
        max_quarantined=config.max_quarantined,
        fingerprint=fingerprints.preprocessor,
    )
    return DataStage(
        data_fingerprint=data_fingerprint,
        image_example_gen=image_example_gen,
        deduplicator=deduplicator,
        image_statistics=image_statistics,
        statistics_gen=statistics_gen,
        import_schema_gen=import_schema_gen,
        example_validator=example_validator,
        reference=reference,
        drift_validator=drift_validator,
        preprocessor=preprocessor,
    )


def _create_reference() -> Resolver:
    return Resolver(
        strategy_class=LatestOrNoArtifactStrategy, reference=Channel(type=ReferenceStatistics)
    ).with_id("ReferenceResolver")


def _create_data_fingerprint(config: PipelineConfig) -> DataFingerprint | None:
    """The component, or None where the fingerprints of `config` hold the state of the data."""
    if not config.fingerprint_data:
        return None
    return DataFingerprint(
        config.source,
        config.downstream_test_sets,
        config.data_dir,
        config.keep_duplicates,
        config.exclude,
        config.recipe.model.weights,
    )


def _value(data_fingerprint: DataFingerprint | None) -> Placeholder | None:
    """The digest, as a parameter of another component."""
    return data_fingerprint and data_fingerprint.outputs["fingerprint"].future()[0].value


def _create_deduplicator(
    config: PipelineConfig, examples: BaseChannel, data_fingerprint: DataFingerprint | None
) -> Deduplicator | None:
    """The component as the configuration asks for it; None if images are not compared."""
    if config.deduplicate == OFF:
        return None
    reads_more = config.downstream_test_sets or config.keep_duplicates
    return Deduplicator(
        examples=examples,
        downstream_test_sets=config.downstream_test_sets,
        data_dir=config.data_dir,
        within_train=config.deduplicate_train,
        threshold=config.duplicate_threshold,
        mode=config.deduplicate,
        keep_duplicates=config.keep_duplicates,
        fingerprint=config.fingerprints.deduplicator,
        # ImageExampleGen's output changes with its source, and is an input.
        data_fingerprint=_value(data_fingerprint) if reads_more else None,
    )
