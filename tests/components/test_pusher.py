# SPDX-License-Identifier: Apache-2.0
"""Pusher: its gates, the folder of versions, and the component in a pipeline."""

import datetime
import json
import os
import pathlib
import threading
import time

import ml_metadata as mlmd
import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.types import artifact_utils, standard_artifacts

from components.pusher import Pusher, gates
from components.pusher.executor import Executor
from mixer_tf import recipes
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.serving import lineage, versions
from mixer_tf.serving.locations import list_versions
from mixer_tf.version import __version__

LINEAGE, CARD = "assets.extra/lineage.json", "assets.extra/MODEL_CARD.md"


@pytest.fixture
def model_dir(tmp_path) -> pathlib.Path:
    """The files of a model; Pusher does not look into them."""
    folder = tmp_path / "model" / "Format-Serving"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"weights")
    return folder


@pytest.fixture
def served(tmp_path) -> pathlib.Path:
    return tmp_path / "my models"


def write_anomalies(folder: pathlib.Path, **splits: anomalies_pb2.Anomalies):
    artifact = standard_artifacts.ExampleAnomalies()
    artifact.uri = str(folder)
    artifact.split_names = artifact_utils.encode_split_names(list(splits))
    for split, anomalies in splits.items():
        (folder / f"Split-{split}").mkdir(parents=True)
        (folder / f"Split-{split}" / "SchemaDiff.pb").write_bytes(anomalies.SerializeToString())
    return artifact


def make_anomalies(severity: int) -> anomalies_pb2.Anomalies:
    anomalies = anomalies_pb2.Anomalies()
    info = anomalies.anomaly_info["image/width"]
    info.severity, info.short_description = severity, "Column dropped"
    return anomalies


def make_blessing(artifact_type, blessed: bool, reason: str = ""):
    blessing = artifact_type()
    blessing.set_int_custom_property("blessed", int(blessed))
    blessing.set_string_custom_property("reason", reason)
    return blessing


def push(model_dir, folder, properties=None, execution="5", **artifacts):
    """Runs the executor as TFX does, and returns the PushedModel artifact."""
    model, pushed = standard_artifacts.Model(), standard_artifacts.PushedModel()
    model.uri = str(model_dir.parent)
    inputs = {"model": [model], **{name: [value] for name, value in artifacts.items()}}
    properties = {"push_destination": str(folder), **(properties or {})}
    Executor(Executor.Context(unique_id=execution)).Do(
        inputs, {"pushed_model": [pushed]}, properties
    )
    return pushed


def files(folder) -> dict[str, bytes]:
    """Relative path -> content of the files of a model; its documents are not."""
    paths = (path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    found = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    return {path: content for path, content in found.items() if path not in (LINEAGE, CARD)}


def test_a_model_that_passes_is_copied_to_a_new_version(model_dir, served):
    pushed = push(
        model_dir,
        served,
        model_blessing=make_blessing(standard_artifacts.ModelBlessing, True),
        infra_blessing=make_blessing(standard_artifacts.InfraBlessing, True),
    )
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("reason") == ""
    version = pushed.get_string_custom_property("pushed_version")
    assert abs(int(version) - time.time()) < 60
    assert pushed.get_string_custom_property("pushed_destination") == str(served / version)
    assert os.listdir(served) == [version]
    assert files(served / version) == files(model_dir)


def test_a_version_says_where_it_comes_from(model_dir, served, tmp_path):
    examples = standard_artifacts.Examples()
    examples.uri, examples.id = str(tmp_path / "examples"), 17
    (tmp_path / "examples").mkdir()
    counts = {"train": {"a": 3, "b": 4}, "test": {"a": 2}}
    DatasetInfo("folder:/pets", ("a", "b"), counts).write(examples.uri)
    known = {"pipeline": "pets", "fingerprints": {"trainer": "ab"}, "options": {"strategy": "tpu"}}
    pushed = push(model_dir, served, {"lineage": json.dumps(known)}, examples=examples)
    found = lineage.read(pushed.get_string_custom_property("pushed_destination"))
    assert (found.pipeline, found.fingerprints, found.options) == tuple(known.values())
    assert found.images == {"train": 7, "test": 2} and found.code_version == __version__
    assert found.metadata == {"examples": 17, "execution": 5}
    pushed_at = datetime.datetime.fromisoformat(found.pushed_at)
    assert abs(pushed_at.timestamp() - time.time()) < 60


def test_the_lineage_on_a_cluster(model_dir, served):
    """Kubeflow v2 hands over hashes of names instead of ids; a step of its own reads the data."""
    blessing = make_blessing(standard_artifacts.InfraBlessing, True)
    blessing.id = 4611686018427387904
    known = {"lineage": '{"fingerprints": {"trainer": "ab"}}', "data_fingerprint": "cd"}
    pushed = push(model_dir, served, known, execution="Pusher_-71", infra_blessing=blessing)
    found = lineage.read(pushed.get_string_custom_property("pushed_destination"))
    assert found.fingerprints == {"trainer": "ab", "data": "cd"} and found.metadata == {}


def test_a_version_has_a_card_for_people(model_dir, served, tmp_path):
    (model_dir / "assets.extra").mkdir()
    recipe = recipes.get("digits").override(["training.epochs=3"])
    (model_dir / "assets.extra" / "recipe.json").write_text(recipe.to_json())
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "examples")
    (tmp_path / "examples").mkdir()
    counts = {"train": {"a": 3, "b": 4}, "test": {"a": 2}}
    DatasetInfo("folder:/pets", ("a", "b"), counts, ("class 'c' is empty",)).write(examples.uri)
    pushed = push(model_dir, served, {"lineage": '{"pipeline": "pets"}'}, examples=examples)
    version = pushed.get_string_custom_property("pushed_destination")
    card = pathlib.Path(version, CARD).read_text("utf-8")
    for words in (
        *("# pets\n", "pushed by the pipeline on 20", "- source: folder:/pets\n"),
        *("- train: 7 images\n", "| training.epochs | 40 | 3 |", "- class 'c' is empty\n"),
        "Nothing measures this model",
    ):
        assert words in card, words
    again = push(model_dir, served, examples=examples)  # the card is no other model
    assert "is already this model" in again.get_string_custom_property("reason")


def test_old_versions_are_removed_after_a_push(model_dir, served):
    (model_dir / "assets.extra").mkdir()
    (model_dir / "assets.extra" / "recipe.json").write_text("{}")
    for content in (b"1", b"2", b"3", b"4"):
        (model_dir / "saved_model.pb").write_bytes(content)
        push(model_dir, served, {"keep_versions": 2})
    contents = [
        (served / str(n) / "saved_model.pb").read_bytes() for n in list_versions(str(served))
    ]
    assert contents == [b"3", b"4"]


def test_a_withdrawn_model_is_not_pushed_again(model_dir, served):
    push(model_dir, served)
    (model_dir / "saved_model.pb").write_bytes(b"a worse graph")
    version = push(model_dir, served).get_string_custom_property("pushed_version")
    versions.withdraw(str(served))
    again = push(model_dir, served)
    assert again.get_int_custom_property("pushed") == 0
    assert again.get_string_custom_property("reason") == (
        f"version {version}, which was withdrawn, is this model"
    )
    (model_dir / "saved_model.pb").write_bytes(b"a better graph")
    assert push(model_dir, served).get_int_custom_property("pushed") == 1


def test_the_model_that_is_served_already_is_not_pushed_again(model_dir, served):
    version = push(model_dir, served).get_string_custom_property("pushed_version")
    again = push(model_dir, served)
    assert again.get_int_custom_property("pushed") == 0
    assert again.get_int_custom_property("served") == 1
    assert again.get_string_custom_property("pushed_version") == version
    assert again.get_string_custom_property("reason") == (
        f"version {version}, the newest one, is already this model"
    )
    assert os.listdir(served) == [version]


def test_a_model_that_was_replaced_can_come_back(model_dir, served):
    push(model_dir, served)
    (model_dir / "variables" / "variables.index").write_bytes(b"WEIGHTS")
    push(model_dir, served)
    (model_dir / "variables" / "variables.index").write_bytes(b"weights")
    push(model_dir, served)
    first, second, third = list_versions(str(served))
    assert files(served / str(first)) == files(served / str(third)) == files(model_dir)
    assert files(served / str(second)) != files(model_dir)


def test_pushes_within_one_second_get_different_versions(model_dir, served):
    paths = []
    for content in (b"a", b"b", b"c"):
        (model_dir / "saved_model.pb").write_bytes(content)
        paths.append(versions.publish(str(model_dir), str(served)))
    numbers = [int(os.path.basename(path)) for path in paths]
    assert numbers == sorted(set(numbers))


def test_a_clock_that_was_set_back_does_not_hide_the_new_version(model_dir, served):
    ahead = served / str(int(time.time()) + 1_000_000)
    ahead.mkdir(parents=True)
    (ahead / "saved_model.pb").touch()
    path = versions.publish(str(model_dir), str(served))
    assert int(os.path.basename(path)) == int(ahead.name) + 1


def test_a_version_that_another_push_created_is_not_overwritten(model_dir, served):
    version = int(time.time()) + 5
    taken = served / str(version)
    taken.mkdir(parents=True)
    (taken / "saved_model.pb").write_bytes(b"of another push")
    (served / ".incoming").mkdir()
    path = versions._rename_to_free_version(str(served / ".incoming"), str(served), version)
    assert path == str(served / str(version + 1))
    assert files(taken) == {"saved_model.pb": b"of another push"}


def test_a_server_never_sees_an_incomplete_version(model_dir, served):
    for index in range(200):
        (model_dir / "variables" / f"shard-{index}").write_bytes(bytes(10_000))
    complete, seen, done = set(files(model_dir)), [], threading.Event()

    def watch():
        while not done.is_set():
            if served.is_dir():
                found = [name for name in os.listdir(served) if name.isdecimal()]
                seen.extend(set(files(served / name)) == complete for name in found)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        versions.publish(str(model_dir), str(served))
        time.sleep(0.2)
    finally:
        done.set()
        watcher.join()
    assert seen and all(seen)


def test_a_push_that_was_killed_leaves_no_version(model_dir, served):
    leftover = served / f".incoming-{versions.fingerprint(str(model_dir))[:16]}"
    leftover.mkdir(parents=True)
    (leftover / "half a file").touch()
    (served / "notes").mkdir()
    (served / "17").mkdir()  # no saved_model.pb: not a model
    assert list_versions(str(served)) == []
    path = versions.publish(str(model_dir), str(served))
    assert files(path) == files(model_dir)
    assert not leftover.exists()


@pytest.mark.parametrize(
    ("artifacts", "reason"),
    [
        (
            {"model_blessing": make_blessing(standard_artifacts.ModelBlessing, False)},
            "the Evaluator did not bless the model",
        ),
        (
            {
                "infra_blessing": make_blessing(
                    standard_artifacts.InfraBlessing, False, "it does not load"
                )
            },
            "the ModelChecker did not bless the model: it does not load",
        ),
    ],
    ids=["model", "infra"],
)
def test_a_model_without_its_blessing_is_not_pushed(model_dir, served, artifacts, reason):
    pushed = push(model_dir, served, **artifacts)
    assert pushed.get_int_custom_property("pushed") == 0
    assert pushed.get_string_custom_property("reason") == reason
    assert not served.exists()


def test_anomalies_stop_the_push_and_are_named(model_dir, served, tmp_path):
    anomalies = write_anomalies(
        tmp_path / "anomalies",
        train=make_anomalies(anomalies_pb2.AnomalyInfo.WARNING),
        test=make_anomalies(anomalies_pb2.AnomalyInfo.ERROR),
    )
    pushed = push(
        model_dir,
        served,
        anomalies=anomalies,
        model_blessing=make_blessing(standard_artifacts.ModelBlessing, False),
    )
    assert pushed.get_int_custom_property("pushed") == 0
    assert pushed.get_string_custom_property("reason") == (
        "anomalies in test: image/width: Column dropped; the Evaluator did not bless the model"
    )


def test_anomalies_of_tfdv_are_read(tmp_path):
    import pandas as pd
    import tensorflow_data_validation as tfdv

    good, bad = pd.DataFrame({"width": [1, 2]}), pd.DataFrame({"height": [1.0, 2.0]})
    schema = tfdv.infer_schema(tfdv.generate_statistics_from_dataframe(good))
    found = {
        split: tfdv.validate_statistics(tfdv.generate_statistics_from_dataframe(data), schema)
        for split, data in {"train": good, "test": bad}.items()
    }
    (reason,) = gates.reasons_not_to_push({"anomalies": [write_anomalies(tmp_path, **found)]})
    assert reason.startswith("anomalies in test: height: ")
    assert reason.endswith(", and width")


def test_a_run_records_the_push_and_the_second_run_is_cached(model_dir, served, tmp_path):
    def run():
        model = Importer(
            source_uri=str(model_dir.parent), artifact_type=standard_artifacts.Model
        ).with_id("Model")
        pusher = Pusher(model=model.outputs["result"], push_destination=str(served))
        pipeline = Pipeline(
            pipeline_name="push",
            pipeline_root=str(tmp_path / "root"),
            components=[model, pusher],
            enable_cache=True,
            metadata_connection_config=connection,
        )
        LocalDagRunner().run(pipeline)

    connection = metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))
    run()
    run()
    store = mlmd.MetadataStore(connection)
    (pushed,) = store.get_artifacts_by_type("PushedModel")
    assert pushed.custom_properties["pushed"].int_value == 1
    assert os.listdir(served) == [pushed.custom_properties["pushed_version"].string_value]
    states = [
        execution.last_known_state
        for execution in store.get_executions_by_type(f"{Pusher.__module__}.Pusher")
    ]
    assert states == [mlmd.proto.Execution.COMPLETE, mlmd.proto.Execution.CACHED]
