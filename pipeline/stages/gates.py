# SPDX-License-Identifier: Apache-2.0
"""The gates: what a model must pass on the test split and in a fresh process to be pushed."""

from __future__ import annotations

import dataclasses

from tfx.components import InfraValidator
from tfx.dsl.components.common.resolver import Resolver
from tfx.proto import infra_validator_pb2
from tfx.types import BaseChannel

from components.evaluator import Evaluator
from components.few_shot_evaluator import FewShotEvaluator
from components.last_pushed_model import LastPushedModel
from components.model_checker import ModelChecker
from mixer_tf import features
from mixer_tf.deduplication.modes import MARK
from mixer_tf.serving import contract
from pipeline.configs import DOCKER, OFF, PipelineConfig
from pipeline.eval_config import make_eval_config
from pipeline.stages import earlier_model, stage

# The image tensorflow/serving:TAG of the TensorFlow that exports the model.
TF_SERVING_TAG = "2.15.1"
NUM_REQUESTS = 3


@dataclasses.dataclass(frozen=True)
class GatesStage(stage.Stage):
    """The components that bless or probe a model, and the step that finds the baseline."""

    baseline: Resolver | LastPushedModel
    evaluator: Evaluator
    few_shot_evaluator: FewShotEvaluator | None
    model_checker: ModelChecker
    infra_validator: InfraValidator | None


def create_gates_stage(
    config: PipelineConfig,
    examples: BaseChannel,
    model: BaseChannel,
    images: BaseChannel,
    last_pushed: LastPushedModel | None = None,
) -> GatesStage:
    """Evaluates a model against the thresholds and an earlier model, and loads it afresh.

    Args:
        config: the run.
        examples: a channel of preprocessed Examples.
        model: a channel of the trained Model.
        images: a channel of Examples with images in their own size, for few-shot probes.
        last_pushed: the model to compare with; None for the newest other model that was blessed, by
            a Resolver.
    """
    baseline = last_pushed or earlier_model.create_baseline_resolver(model)
    evaluator = Evaluator(
        examples=examples,
        model=model,
        baseline_model=baseline.outputs["model"],
        eval_config=make_eval_config(
            config.min_accuracy,
            config.max_accuracy_drop,
            config.fingerprints.evaluator,
            marked=config.deduplicate == MARK,
        ),
        example_splits=[features.TEST],
    )
    model_checker = ModelChecker(model=model, fingerprint=config.fingerprints.model_checker)
    model_checker.add_upstream_node(evaluator)  # which may find that there is nothing to check
    infra_validator = _create_infra_validator(config, examples, model)
    if infra_validator:
        infra_validator.add_upstream_node(model_checker)
    return GatesStage(
        baseline=baseline,
        evaluator=evaluator,
        few_shot_evaluator=_create_few_shot_evaluator(config, images, model),
        model_checker=model_checker,
        infra_validator=infra_validator,
    )


def _create_few_shot_evaluator(
    config: PipelineConfig, images: BaseChannel, model: BaseChannel
) -> FewShotEvaluator | None:
    """The component that probes the model, which no gate reads; None where it is off."""
    if not config.few_shot:
        return None
    return FewShotEvaluator(
        examples=images,
        model=model,
        shots=config.few_shot,
        fingerprint=config.fingerprints.few_shot_evaluator,
    )


def _create_infra_validator(
    config: PipelineConfig, examples: BaseChannel, model: BaseChannel
) -> InfraValidator | None:
    """TFX's component, which can send serialized tf.Examples alone; None where it is off."""
    if config.infra_validator == OFF:
        return None
    serving = infra_validator_pb2.TensorFlowServing(tags=[TF_SERVING_TAG])
    spec = infra_validator_pb2.ServingSpec(tensorflow_serving=serving, model_name="model")
    if config.infra_validator == DOCKER:
        spec.local_docker.SetInParent()
    else:
        spec.kubernetes.SetInParent()
    request = infra_validator_pb2.TensorFlowServingRequestSpec(
        signature_names=[contract.EXAMPLES_SIGNATURE]
    )
    return InfraValidator(
        model=model,
        examples=examples,
        serving_spec=spec,
        request_spec=infra_validator_pb2.RequestSpec(
            tensorflow_serving=request, split_name=features.TRAIN, num_examples=NUM_REQUESTS
        ),
    )
