# SPDX-License-Identifier: Apache-2.0
"""The whole graph on one screen. It knows nothing of the runner that executes it."""

from __future__ import annotations

import pathlib

from tensorflow_data_validation import StatsOptions
from tfx.components import Evaluator, ExampleValidator, StatisticsGen, Trainer
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
    LatestBlessedModelStrategy,
)
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2
from tfx.types import Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

from components.deduplicator import Deduplicator
from components.image_example_gen import ImageExampleGen
from components.model_checker import ModelChecker
from components.preprocessor import Preprocessor
from components.pusher import Pusher
from mixer_tf import features
from pipeline.configs import PipelineConfig
from pipeline.eval_config import make_eval_config

# Statistics of the encoded bytes and of the paths say nothing, cost half of the time, and would
# keep whole images among their most frequent values.
MEASURED = (features.FORMAT, features.LABEL, features.CLASS_NAME, features.WIDTH, features.HEIGHT)
SCHEMA = str(pathlib.Path(__file__).with_name("schema.pbtxt"))


def create_pipeline(config: PipelineConfig, metadata_connection_config=None) -> Pipeline:
    """Builds the graph from images to a pushed model.

    Args:
        config: see `PipelineConfig`.
        metadata_connection_config: where LocalDagRunner keeps ML Metadata; the Kubeflow and
            Vertex runners bring their own.
    """
    fingerprints = config.fingerprints

    images = ImageExampleGen(
        source=config.source,
        data_dir=config.data_dir,
        fingerprint=fingerprints.image_example_gen,
    )
    deduplicator = Deduplicator(
        examples=images.outputs["examples"],
        downstream_test_sets=config.downstream_test_sets,
        data_dir=config.data_dir,
        within_train=config.deduplicate_train,
        fingerprint=fingerprints.deduplicator,
    )
    statistics = StatisticsGen(
        examples=deduplicator.outputs["deduplicated_examples"],
        stats_options=StatsOptions(feature_allowlist=list(MEASURED)),
    )
    schema = ImportSchemaGen(schema_file=SCHEMA)
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    preprocessor = Preprocessor(
        examples=deduplicator.outputs["deduplicated_examples"],
        shorter_side=config.shorter_side,
        fingerprint=fingerprints.preprocessor,
    )
    trainer = Trainer(
        run_fn="components.trainer.run_fn.run_fn",
        examples=preprocessor.outputs["preprocessed_examples"],
        train_args=trainer_pb2.TrainArgs(splits=[features.TRAIN]),
        eval_args=trainer_pb2.EvalArgs(splits=[features.EVAL]),
        custom_config={
            "recipe": config.recipe.to_json(),
            "strategy": config.strategy,
            "checkpoint_dir": config.checkpoint_path,
            "fingerprint": fingerprints.trainer,
        },
    )
    baseline = Resolver(
        strategy_class=LatestBlessedModelStrategy,
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
    ).with_id("Resolver")
    evaluator = Evaluator(
        examples=preprocessor.outputs["preprocessed_examples"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        eval_config=make_eval_config(config.min_accuracy, config.max_accuracy_drop),
        example_splits=[features.TEST],
    )
    checker = ModelChecker(model=trainer.outputs["model"], fingerprint=fingerprints.model_checker)
    checker.add_upstream_node(evaluator)  # it looks at what was found good
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=checker.outputs["blessing"],
        anomalies=validator.outputs["anomalies"],
        push_destination=config.serving_path,
        fingerprint=fingerprints.pusher,
    )
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=config.root,
        components=[
            *(images, deduplicator, statistics, schema, validator, preprocessor),
            *(trainer, baseline, evaluator, checker, pusher),
        ],
        enable_cache=config.enable_cache,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=list(config.beam_args),
    )
