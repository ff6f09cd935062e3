# SPDX-License-Identifier: Apache-2.0
"""The graph is made from names alone, and compiles with every step for each runner."""

import dataclasses
import json
import re
import socket

import pytest
import yaml
from tfx.dsl.compiler.compiler import Compiler
from tfx.orchestration.kubeflow import kubeflow_dag_runner
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from components.run_report.collection import OUTPUTS
from mixer_tf import recipes, storage
from mixer_tf.datasets.sources import opening
from mixer_tf.datasets.statistics_limits import StatisticsLimits
from mixer_tf.training.search_space import Search
from pipeline import fingerprints
from pipeline.configs import Fingerprints, PipelineConfig
from pipeline.definition import create_pipeline
from pipeline.import_graph import ImportGraph

STEPS = {
    *("ImageExampleGen", "Deduplicator", "Preprocessor"),
    *("ImageStatistics", "StatisticsGen", "ImportSchemaGen", "ExampleValidator"),
    *("ReferenceResolver", "DriftValidator"),
    *("Trainer", "Resolver", "Evaluator", "ModelChecker", "Pusher"),
    "RunReport",
}
IMAGE = "registry.example/mixer-tf:test"
RECIPE = recipes.get("photos")


@pytest.fixture
def config(tmp_path) -> PipelineConfig:
    return PipelineConfig(
        name="digits",
        root=str(tmp_path / "root"),
        source="digits",
        recipe=recipes.get("digits"),
        downstream_test_sets=("digits",),
    )


def _forbidden(*_, **__):
    raise AssertionError("making a config or a graph must open nothing")


@pytest.fixture
def nothing_can_be_opened(monkeypatch):
    """No connection, no bucket and no source, whatever its kind."""
    monkeypatch.setattr(socket, "socket", _forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", _forbidden)
    monkeypatch.setattr(storage, "gfile", _forbidden)
    monkeypatch.setattr(opening, "open_source", _forbidden)


@pytest.mark.parametrize(
    "source", ["folder:/nowhere", "tfds:unknown", "folder:gs://b/p", "tfrecord:gs://b/*", "csv:x"]
)
def test_graph_is_made_from_names_alone(source, nothing_can_be_opened):
    config = PipelineConfig(
        name="names",
        root="gs://bucket/root",
        source=source,
        recipe=RECIPE,
        data_dir="gs://bucket/tfds",
        downstream_test_sets=(source, "tfds:unknown"),
        serving_dir="gs://bucket/serving",
    )
    compiled = Compiler().compile(create_pipeline(config))
    assert {node.pipeline_node.node_info.id for node in compiled.nodes} == STEPS


def test_steps_run_in_the_order_of_the_stages(config):
    ids = [node.id for node in create_pipeline(config).components]
    assert set(ids) == STEPS
    order = ("ImageExampleGen", "Deduplicator", "Preprocessor", "Trainer", "Evaluator")
    positions = [ids.index(step) for step in (*order, "ModelChecker", "Pusher", "RunReport")]
    assert positions == sorted(positions)


def test_only_steps_on_beam_get_its_options_and_each_option_once(config):
    config = dataclasses.replace(config, beam_args=("--runner=DirectRunner",))
    pipeline = create_pipeline(config)
    pipeline.components = [node for node in pipeline.components if node.id != "Pusher"]
    given = {
        node.id: node.executor_spec.beam_pipeline_args
        for node in pipeline.components
        if getattr(node.executor_spec, "beam_pipeline_args", None)
    }
    steps = {"ImageExampleGen", "Deduplicator", "ImageStatistics", "StatisticsGen"}
    steps |= {"Preprocessor", "Evaluator"}
    assert given == {step: ["--runner=DirectRunner"] for step in steps}
    assert not pipeline.beam_pipeline_args  # which Kubeflow would pass on to every step


def test_fingerprints_follow_the_modules_that_tfx_imports(config):
    """Each executor is an entry module of pipeline/fingerprints.py, and covers our metrics."""
    found, metrics = set(), set()
    config = dataclasses.replace(config, predict="images:/new", search=Search(), few_shot=(5,))
    for node in create_pipeline(config).components:
        executor_class = getattr(node.executor_spec, "executor_class", None)
        names = [executor_class.__module__] if executor_class else []
        found |= {name for name in names if name.startswith("components.")}
        metrics |= set(
            re.findall(r'"module": "(.+?)"', node.exec_properties.get("eval_config", ""))
        )
    assert found == set(fingerprints.ENTRY_MODULES.values())
    evaluator = fingerprints.ENTRY_MODULES["evaluator"]
    assert metrics and metrics <= ImportGraph(fingerprints.PROJECT).closure(evaluator)


def test_images_to_predict_are_a_step_of_their_own(config):
    nodes = {node.id: node for node in create_pipeline(config).components}
    assert "BulkPredictor" not in nodes
    config = dataclasses.replace(config, predict="images:/new", beam_args=("--runner=X",))
    nodes = {node.id: node for node in create_pipeline(config).components}
    assert nodes["BulkPredictor"].exec_properties["source"] == "images:/new"
    assert nodes["BulkPredictor"].executor_spec.beam_pipeline_args == ["--runner=X"]
    assert {"model", "model_blessing", "infra_blessing"} <= set(nodes["BulkPredictor"].inputs)


@pytest.mark.parametrize("deduplicate", ["remove", "off"])
def test_probes_read_the_images_in_their_own_size_and_are_no_gate(config, deduplicate):
    config = dataclasses.replace(config, deduplicate=deduplicate, downstream_test_sets=())
    assert "FewShotEvaluator" not in {node.id for node in create_pipeline(config).components}
    fingerprint = Fingerprints(few_shot_evaluator="abc")
    config = dataclasses.replace(config, few_shot=(5, 10), fingerprints=fingerprint)
    nodes = {node.id: node for node in create_pipeline(config).components}
    probes = nodes["FewShotEvaluator"]
    assert probes.exec_properties == {"shots": "[5, 10]", "fingerprint": "abc"}
    assert probes.inputs["examples"] is nodes["ImageStatistics"].inputs["examples"]
    assert probes.inputs["model"] is nodes["Trainer"].outputs["model"]
    assert {node.id for node in probes.downstream_nodes} == {"RunReport"}
    with pytest.raises(ValueError, match="few_shot must be numbers of images of at least 1; got 0"):
        dataclasses.replace(config, few_shot=(5, 0))


def test_excluded_images_are_left_out_by_the_first_step(config):
    config = dataclasses.replace(config, exclude="/removed.txt", fingerprint_data=True)
    nodes = {node.id: node for node in create_pipeline(config).components}
    for step in ("ImageExampleGen", "DataFingerprint"):
        assert nodes[step].exec_properties["exclude"] == "/removed.txt"


def test_the_evaluator_slices_leaked_images_only_where_they_are_marked(config):
    for mode in ("remove", "mark", "report", "off"):
        changes = {"downstream_test_sets": ()} if mode == "off" else {}
        changed = dataclasses.replace(config, deduplicate=mode, **changes)
        nodes = {node.id: node for node in create_pipeline(changed).components}
        slices = nodes["Evaluator"].exec_properties["eval_config"]
        assert ('"leaked"' in slices) == (mode == "mark")


def test_deduplicator_gets_its_mode_and_threshold(config):
    config = dataclasses.replace(config, deduplicate="report", duplicate_threshold=0.9)
    config = dataclasses.replace(config, keep_duplicates="/keep.txt")
    nodes = {node.id: node for node in create_pipeline(config).components}
    properties = nodes["Deduplicator"].exec_properties
    assert (properties["mode"], properties["threshold"]) == ("report", 0.9)
    assert properties["keep_duplicates"] == "/keep.txt"


def test_preprocessor_gets_the_limit_of_unusable_images(config):
    config = dataclasses.replace(config, max_quarantined="1%")
    nodes = {node.id: node for node in create_pipeline(config).components}
    assert nodes["Preprocessor"].exec_properties["max_quarantined"] == "1%"


def test_image_statistics_get_the_thresholds_of_anomalies(config):
    config = dataclasses.replace(config, statistics_limits=StatisticsLimits(skew=0.3))
    nodes = {node.id: node for node in create_pipeline(config).components}
    limits = json.loads(nodes["ImageStatistics"].exec_properties["limits"])
    assert limits == {"unreadable": 0.01, "near_constant": 0.01, "skew": 0.3, "class_skew": 0.5}


def test_the_report_reads_every_step_and_can_be_left_out(config):
    config = dataclasses.replace(
        config, search=Search(), infra_validator="docker", min_accuracy=0.5, few_shot=(5,)
    )
    nodes = {node.id: node for node in create_pipeline(config).components}
    report = nodes["RunReport"]
    assert set(report.inputs) == set(OUTPUTS)
    for name, (step, key) in OUTPUTS.items():
        assert report.inputs[name] is nodes[step].outputs[key]
    assert {node.id for node in report.upstream_nodes} == {step for step, _ in OUTPUTS.values()}
    assert json.loads(report.exec_properties["options"]) == [
        *("--min-accuracy=0.5", "--infra-validator=docker", "--downstream-test-sets=digits"),
        *("--few-shot=5", "--tune"),
    ]
    without = create_pipeline(dataclasses.replace(config, report=False))
    assert "RunReport" not in {node.id for node in without.components}


def test_without_deduplication_the_next_steps_read_the_images_as_they_are(config):
    config = dataclasses.replace(config, downstream_test_sets=(), deduplicate="off")
    nodes = {node.id: node for node in create_pipeline(config).components}
    assert set(nodes) == STEPS - {"Deduplicator"}
    for step in ("ImageStatistics", "StatisticsGen", "Preprocessor"):
        assert nodes[step].inputs["examples"] is nodes["ImageExampleGen"].outputs["examples"]


@pytest.mark.parametrize(("min_accuracy", "is_gated"), [(None, True), (0.0, False), (0.9, False)])
def test_largest_class_is_to_be_beaten_unless_an_accuracy_is_given(config, min_accuracy, is_gated):
    config = dataclasses.replace(config, min_accuracy=min_accuracy)
    nodes = {node.id: node for node in create_pipeline(config).components}
    eval_config = json.loads(nodes["Evaluator"].exec_properties["eval_config"])
    metrics = {
        json.loads(metric["config"])["name"]: metric
        for spec in eval_config["metrics_specs"]
        for metric in spec["metrics"]
    }
    metric = metrics["correct_above_largest_class"]
    assert any("threshold" in key for key in metric) is is_gated
    lineage = json.loads(nodes["Pusher"].exec_properties["lineage"])
    assert lineage["options"]["min_accuracy"] == min_accuracy


@pytest.mark.parametrize(("recipe", "expected"), [("photos", 128), ("digits", None)])
def test_preprocessor_reduces_training_images_to_the_side_of_the_recipe(config, recipe, expected):
    config = dataclasses.replace(config, recipe=recipes.get(recipe))
    nodes = {node.id: node for node in create_pipeline(config).components}
    assert nodes["Preprocessor"].exec_properties["train_shorter_side"] == expected


def test_the_trainer_gets_the_best_hyperparameters_of_the_tuner(config):
    config = dataclasses.replace(config, search=Search(("training.epochs=1,2",), 2))
    config = dataclasses.replace(config, fingerprints=Fingerprints(tuner="abc"))
    nodes = {node.id: node for node in create_pipeline(config).components}
    assert set(nodes) == {*STEPS, "Tuner"}
    tuner = nodes["Tuner"]
    assert tuner.inputs["examples"] is nodes["Preprocessor"].outputs["preprocessed_examples"]
    assert nodes["Trainer"].inputs["hyperparameters"] is tuner.outputs["best_hyperparameters"]
    found = json.loads(tuner.exec_properties["custom_config"])
    assert (found["grids"], found["count"]) == (["training.epochs=1,2"], 2)
    assert (found["fingerprint"], found["trials_dir"]) == ("abc", f"{config.root}/tuning")
    assert found["recipe"] == config.recipe.to_json()
    lineage = json.loads(nodes["Pusher"].exec_properties["lineage"])
    assert lineage["options"]["search"] == {"grids": ["training.epochs=1,2"], "count": 2}


@pytest.mark.parametrize("target", ["v1", "2.0", "2.1"])
def test_a_search_compiles_for_each_runner(config, target, tmp_path):
    search = Search(("training.epochs=1,2",))
    pipeline = create_pipeline(
        dataclasses.replace(
            config, search=search, history="metadata" if target == "v1" else "files"
        )
    )
    path = tmp_path / "file"
    if target == "v1":
        kubeflow_dag_runner.KubeflowDagRunner(
            output_dir=str(tmp_path),
            output_filename="file.yaml",
            config=kubeflow_dag_runner.KubeflowDagRunnerConfig(tfx_image=IMAGE),
        ).run(pipeline)
        workflow = yaml.safe_load((tmp_path / "file.yaml").read_text())
        dag = next(t["dag"] for t in workflow["spec"]["templates"] if "dag" in t)
        (trainer,) = [task for task in dag["tasks"] if task["name"] == "trainer"]
        assert "tuner" in trainer["dependencies"]
        return
    kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image=IMAGE, use_pipeline_spec_2_1=target == "2.1"
        ),
        output_filename=str(path),
    ).run(pipeline)
    spec = json.loads(path.read_text())
    tasks = spec.get("pipelineSpec", spec)["root"]["dag"]["tasks"]
    assert tasks["Trainer"]["inputs"]["artifacts"]["hyperparameters"] == {
        "taskOutputArtifact": {
            "producerTask": "Tuner",
            "outputArtifactKey": "best_hyperparameters",
        }
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"warm_start": True}, "must not be combined with a warm start"),
        ({"strategy": "multi_worker"}, "must run on one machine"),
        (
            {"recipe": RECIPE, "search": Search(("data.train_shorter_side=99,120",))},
            "the Preprocessor reads it before",
        ),
        ({"search": Search(("training.epochs=1..9",))}, "a range of values requires --random"),
        ({"search": Search(("optimizer.name=adam,sgd",))}, "optimizer.name must be"),
    ],
)
def test_a_search_that_cannot_be_run_is_refused(config, changes, message):
    with pytest.raises(ValueError) as error:
        dataclasses.replace(config, **{"search": Search(), **changes})
    assert message in str(error.value)


OPTIONAL_STEPS = {"BaseModelResolver", "BulkPredictor", "FewShotEvaluator"}


@pytest.fixture
def full_config(config) -> PipelineConfig:
    """With the steps that are off by default, but for the InfraValidator, which v2 refuses."""
    return dataclasses.replace(
        config, warm_start=True, predict="images:gs://bucket/new", few_shot=(5, 10)
    )


def test_compiles_for_kubeflow_pipelines_v1(full_config, tmp_path):
    config = dataclasses.replace(full_config, infra_validator="kubernetes")
    kubeflow_dag_runner.KubeflowDagRunner(
        output_dir=str(tmp_path),
        output_filename="digits.yaml",
        config=kubeflow_dag_runner.KubeflowDagRunnerConfig(tfx_image=IMAGE),
    ).run(create_pipeline(config))
    workflow = yaml.safe_load((tmp_path / "digits.yaml").read_text())
    templates = {template["name"]: template for template in workflow["spec"]["templates"]}
    for step in STEPS | OPTIONAL_STEPS | {"InfraValidator"}:
        assert templates[step.lower()]["container"]["image"] == IMAGE


@pytest.mark.parametrize("new_spec", [False, True], ids=["2.0", "2.1"])
def test_compiles_for_kubeflow_pipelines_v2_and_vertex(full_config, tmp_path, new_spec):
    path = tmp_path / "digits.json"
    kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image=IMAGE, use_pipeline_spec_2_1=new_spec
        ),
        output_filename=str(path),
    ).run(create_pipeline(dataclasses.replace(full_config, history="files")))
    spec = json.loads(path.read_text())
    tasks = spec.get("pipelineSpec", spec)["root"]["dag"]["tasks"]
    resolvers = {"ReferenceResolver", "Resolver", "BaseModelResolver"}
    assert set(tasks) == (STEPS | OPTIONAL_STEPS | {"LastPushedModel"}) - resolvers
