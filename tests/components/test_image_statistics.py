# SPDX-License-Identifier: Apache-2.0
"""ImageStatistics, run by TFX and Beam: the numbers of the library, and anomalies as a note."""

import json
import pathlib
import shutil

import pytest
from PIL import Image, ImageEnhance
from tfx.types import channel_utils, standard_artifacts

from components.artifacts import ImageStatisticsReport
from components.image_example_gen import executor as image_example_gen
from components.image_statistics import ImageStatistics
from components.image_statistics.executor import NOTE, Executor
from mixer_tf.datasets.sources import opening
from mixer_tf.datasets.statistics import measure_records, merge_all
from mixer_tf.datasets.statistics_limits import StatisticsLimits
from mixer_tf.visualization import statistics_page


def run(source: str, folder: pathlib.Path, **properties) -> ImageStatisticsReport:
    examples, report = standard_artifacts.Examples(), ImageStatisticsReport()
    examples.uri, report.uri = (str(folder / name) for name in ("examples", "report"))
    image_example_gen.Executor().Do({}, {"examples": [examples]}, {"source": source})
    Executor().Do({"examples": [examples]}, {"report": [report]}, properties)
    return report


@pytest.fixture(scope="module")
def dark_folder(image_folder, tmp_path_factory) -> pathlib.Path:
    """Training images, and test images that are darker; two of these are damaged."""
    path = tmp_path_factory.mktemp("dark")
    for name in ("cat", "dog"):
        for split in ("train", "test"):
            (path / split / name).mkdir(parents=True)
        for file in sorted((image_folder / name).iterdir()):
            shutil.copy(file, path / "train" / name)
            dark = ImageEnhance.Brightness(Image.open(file)).enhance(0.2)
            dark.save(path / "test" / name / file.name)
        (path / "test" / name / "damaged.png").write_bytes(file.read_bytes()[:200])
    return path


def test_the_component_finds_what_the_library_finds(dark_folder, tmp_path):
    spec = f"folder:{dark_folder}"
    report = run(spec, tmp_path)
    source = opening.open_source(spec)
    parts = [
        measure_records(source.read(shard), split)
        for split in source.splits
        for shard in source.shards_of(split)
    ]
    statistics_page.write(str(tmp_path / "library"), merge_all(parts), spec)
    for name in (statistics_page.JSON_FILE, statistics_page.PAGE):
        assert pathlib.Path(report.uri, name).read_bytes() == (
            (tmp_path / "library" / name).read_bytes()
        )


def test_anomalies_are_a_note(dark_folder, tmp_path):
    report = run(f"folder:{dark_folder}", tmp_path)
    notes = report.get_string_custom_property(NOTE).split("\n")
    assert notes[0].startswith("2 of 42 test images cannot be decoded (4.8%, limit 1.0%), such as ")
    assert any(note.startswith("train and test differ in brightness: ") for note in notes)
    limits = json.dumps({"unreadable": 0.1, "near_constant": 0.01, "skew": 1, "class_skew": 1})
    report = run(f"folder:{dark_folder}", tmp_path / "again", limits=limits)
    assert report.get_string_custom_property(NOTE) == ""


def test_the_component_has_its_parameters():
    examples = channel_utils.as_channel([standard_artifacts.Examples()])
    component = ImageStatistics(examples, StatisticsLimits(skew=0.2), fingerprint="1")
    assert json.loads(component.exec_properties["limits"]) == {
        "unreadable": 0.01,
        "near_constant": 0.01,
        "skew": 0.2,
        "class_skew": 0.5,
    }
    assert component.exec_properties["fingerprint"] == "1"
    assert component.outputs["report"].type is ImageStatisticsReport
