# SPDX-License-Identifier: Apache-2.0
"""The data stage: from a source to deduplicated, validated and preprocessed examples."""

from __future__ import annotations

import dataclasses

from tensorflow_data_validation import StatsOptions
from tfx.components import ExampleValidator, StatisticsGen
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_artifact_strategy import LatestArtifactStrategy
from tfx.types import BaseChannel, Channel

from components.artifacts import ReferenceStatistics
from components.deduplicator import Deduplicator
from components.drift_validator import DriftValidator
from components.image_example_gen import ImageExampleGen
from components.import_schema_gen import ImportSchemaGen
from components.preprocessor import Preprocessor
from mixer_tf import features
from pipeline.configs import OFF, SCHEMA_FILE, PipelineConfig
from pipeline.stages import stage

# Statistics of the encoded bytes and of the paths say nothing, cost half of the time, and would
# keep whole images among their most frequent values.
MEASURED = (features.FORMAT, features.LABEL, features.CLASS_NAME, features.WIDTH, features.HEIGHT)


@dataclasses.dataclass(frozen=True)
class DataStage(stage.Stage):
    """The components from a source of images to the examples of a trainer."""

    image_example_gen: ImageExampleGen
    deduplicator: Deduplicator | None
    statistics_gen: StatisticsGen
    import_schema_gen: ImportSchemaGen
    example_validator: ExampleValidator
    reference: Resolver
    drift_validator: DriftValidator
    preprocessor: Preprocessor


def create_data_stage(config: PipelineConfig) -> DataStage:
    """Reads the source, removes duplicates, measures and validates, and preprocesses each image."""
    fingerprints = config.fingerprints
    image_example_gen = ImageExampleGen(
        source=config.source,
        data_dir=config.data_dir,
        fingerprint=fingerprints.image_example_gen,
    )
    examples = image_example_gen.outputs["examples"]
    deduplicator = _create_deduplicator(config, examples)
    if deduplicator:
        examples = deduplicator.outputs["deduplicated_examples"]
    statistics_gen = StatisticsGen(
        examples=examples, stats_options=StatsOptions(feature_allowlist=list(MEASURED))
    )
    import_schema_gen = ImportSchemaGen(
        schema_file=SCHEMA_FILE, fingerprint=fingerprints.import_schema_gen
    )
    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=import_schema_gen.outputs["schema"]
    )
    reference = Resolver(
        strategy_class=LatestArtifactStrategy, reference=Channel(type=ReferenceStatistics)
    ).with_id("ReferenceResolver")
    drift_validator = DriftValidator(
        statistics=statistics_gen.outputs["statistics"],
        schema=import_schema_gen.outputs["schema"],
        reference=reference.outputs["reference"],
        allow_drift=config.allow_drift,
        fingerprint=fingerprints.drift_validator,
    )
    preprocessor = Preprocessor(
        examples=examples,
        train_shorter_side=config.recipe.data.train_shorter_side,
        fingerprint=fingerprints.preprocessor,
    )
    return DataStage(
        image_example_gen=image_example_gen,
        deduplicator=deduplicator,
        statistics_gen=statistics_gen,
        import_schema_gen=import_schema_gen,
        example_validator=example_validator,
        reference=reference,
        drift_validator=drift_validator,
        preprocessor=preprocessor,
    )


def _create_deduplicator(config: PipelineConfig, examples: BaseChannel) -> Deduplicator | None:
    """The component as the configuration asks for it; None if images are not compared."""
    if config.deduplicate == OFF:
        return None
    return Deduplicator(
        examples=examples,
        downstream_test_sets=config.downstream_test_sets,
        data_dir=config.data_dir,
        within_train=config.deduplicate_train,
        threshold=config.duplicate_threshold,
        mode=config.deduplicate,
        keep_duplicates=config.keep_duplicates,
        fingerprint=config.fingerprints.deduplicator,
    )
