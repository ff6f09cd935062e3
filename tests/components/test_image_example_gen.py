# SPDX-License-Identifier: Apache-2.0
import glob

import apache_beam as beam
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from tfx.components.util import tfxio_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.types import artifact_utils, standard_artifacts

from components.image_example_gen import ImageExampleGen, transforms
from components.image_example_gen.executor import Executor
from mixer_tf import features
from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources import opening


def execute(source: str, folder: str, *beam_args: str) -> standard_artifacts.Examples:
    """Runs the executor as TFX does, and returns its artifact."""
    examples = standard_artifacts.Examples()
    examples.uri = folder
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(beam_args), tmp_dir=folder + "-tmp"
    )
    Executor(context).Do({}, {"examples": [examples]}, {"source": source, "data_dir": None})
    return examples


def read(folder: str, split: str) -> list[features.ImageRecord]:
    paths = sorted(glob.glob(examples.file_pattern(folder, split)))
    dataset = tf.data.TFRecordDataset(paths)
    return [features.ImageRecord.from_example(item) for item in dataset.as_numpy_iterator()]


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> standard_artifacts.Examples:
    return execute("digits", str(tmp_path_factory.mktemp("examples") / "1"))


def test_digits_give_1797_examples(digits):
    records = [record for split in features.SPLITS for record in read(digits.uri, split)]
    assert sorted(record.source for record in records) == [f"digits/{i:04d}" for i in range(1797)]
    assert {record.format for record in records} == {"PNG"}
    assert all(record.class_name == str(record.label) for record in records)


def test_the_artifact_has_its_splits_and_format(digits):
    assert artifact_utils.decode_split_names(digits.split_names) == list(features.SPLITS)
    assert digits.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"


def test_the_dataset_file_counts_classes_in_label_order(digits):
    info = DatasetInfo.read(digits.uri)
    assert info.source == "digits"
    assert info.class_names == tuple("0123456789")
    assert sum(info.examples.values()) == 1797
    for split, counts in info.counts.items():
        labels = [record.class_name for record in read(digits.uri, split)]
        assert list(counts) == list(info.class_names)
        assert counts == {name: labels.count(name) for name in counts}


def test_tfx_reads_the_examples_back(digits):
    factory = tfxio_utils.get_tfxio_factory_from_artifact([digits], telemetry_descriptors=["test"])
    tfxio = factory([examples.file_pattern(digits.uri, "test")])
    with beam.Pipeline() as p:
        counts = p | tfxio.BeamSource() | beam.Map(lambda batch: batch.num_rows)
        _ = counts | beam.CombineGlobally(sum) | beam.Map(_assert_equal, expected=324)


def _assert_equal(value, expected):
    assert value == expected


def test_no_file_of_the_bad_folder_is_lost(bad_folder, tmp_path):
    execute(f"folder:{bad_folder.path}", str(tmp_path / "1"))
    info = DatasetInfo.read(str(tmp_path / "1"))
    assert info.notes == ("class folder 'empty class' is empty: ignored",)
    assert sum(info.examples.values()) == len(bad_folder.good) + len(bad_folder.bad)
    records = [record for split in info.examples for record in read(str(tmp_path / "1"), split)]
    problems = {record.source for record in records if record.problem}
    assert str(bad_folder.path / "dog/words.jpg") in problems


@pytest.mark.slow
def test_two_processes_give_the_same(image_folder, tmp_path):
    source = f"folder:{image_folder}"
    execute(source, str(tmp_path / "1"))
    args = "--direct_running_mode=multi_processing", "--direct_num_workers=2"
    execute(source, str(tmp_path / "2"), *args)
    one, two = ({s: read(str(tmp_path / d), s) for s in features.SPLITS} for d in ("1", "2"))
    for split in features.SPLITS:
        assert sorted(map(repr, one[split])) == sorted(map(repr, two[split]))
    assert DatasetInfo.read(str(tmp_path / "1")) == DatasetInfo.read(str(tmp_path / "2"))


def test_a_source_without_training_images_is_refused(tmp_path, write_image_folder):
    write_image_folder(tmp_path / "data/test")
    with pytest.raises(ValueError, match=r"must have training images; .* has only test"):
        execute(f"folder:{tmp_path}/data", str(tmp_path / "1"))


def test_a_split_of_any_source_can_be_read(image_folder):
    spec = f"folder:{image_folder}"
    expected = [
        r
        for entry in opening.open_source(spec).shards_of("test")
        for r in opening.open_source(spec).read(entry)
    ]
    with beam.Pipeline(options=PipelineOptions(["--runner=DirectRunner"])) as p:
        records = p | transforms.ReadSplit(opening.open_source(spec), "test")
        ids = records | beam.Map(lambda record: record.source) | beam.combiners.ToList()
        _ = ids | beam.Map(
            lambda found, ids: _assert_equal(sorted(found), ids), sorted(r.source for r in expected)
        )


def test_a_pipeline_runs_it_once_for_each_fingerprint(image_folder, tmp_path):
    def run(fingerprint: str) -> list[str]:
        node = ImageExampleGen(source=f"folder:{image_folder}", fingerprint=fingerprint)
        connection = metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))
        LocalDagRunner().run(
            pipeline.Pipeline(
                pipeline_name="images",
                pipeline_root=str(tmp_path),
                components=[node],
                enable_cache=True,
                metadata_connection_config=connection,
            )
        )
        return sorted(glob.glob(str(tmp_path / "ImageExampleGen/examples/*")))

    first, again, changed = run("a"), run("a"), run("b")
    assert len(first) == 1
    assert again == first
    assert len(changed) == 2
    assert sum(DatasetInfo.read(first[0]).examples.values()) == 40


def test_listed_images_are_left_out_and_counted_in_the_dataset_file(image_folder, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("cat/000.png\n/dog/000.png\n")
    output = standard_artifacts.Examples()
    output.uri = str(tmp_path / "1")
    properties = {"source": f"folder:{image_folder}", "exclude": str(listed)}
    Executor().Do({}, {"examples": [output]}, properties)
    found = [record.source for split in features.SPLITS for record in read(output.uri, split)]
    assert len(found) == 39 and f"{image_folder}/cat/000.png" not in found
    info = DatasetInfo.read(output.uri)
    assert sum(info.examples.values()) == 39
    assert info.notes[0] == "images excluded by --exclude: 1"
    assert "name no image" in info.notes[1] and "1, such as '/dog/000.png'" in info.notes[1]
