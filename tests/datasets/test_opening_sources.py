# SPDX-License-Identifier: Apache-2.0
import pickle
import subprocess
import sys

import pytest

from mixer_tf import features
from mixer_tf.datasets.sources import opening
from mixer_tf.datasets.sources.source import Source


def read_split(source: Source, split: str) -> list[features.ImageRecord]:
    return [record for shard in source.shards_of(split) for record in source.read(shard)]


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("digit", "Did you mean digits"),
        ("folders:/data", "Did you mean folder"),
        ("/data/pets", "For a folder of images: folder:/data/pets"),
        ("", "got ''"),
        ("folder:", "got 'folder:'"),
        ("digits:5", "got 'digits:5'"),
    ],
)
def test_the_error_for_an_invalid_spec_names_all_kinds(spec, hint):
    with pytest.raises(ValueError, match=hint) as raised:
        opening.open_source(spec)
    for kind in ("digits", "tfds:NAME", "folder:PATH", "tfrecord:GLOB", "csv:PATH"):
        assert kind in str(raised.value)


def test_reader_and_work_items_are_small_when_pickled(tmp_path, write_image_folder):
    write_image_folder(tmp_path, per_class=200)
    source = opening.open_source(f"folder:{tmp_path}")
    assert len(pickle.dumps(source.reader)) < 500
    paths = sum(len(pickle.dumps(shard)) for shard in source.shards_of("train"))
    assert paths / 320 < 30


def test_unusable_images_become_records_with_problems(bad_folder):
    source = opening.open_source(f"folder:{bad_folder.path}")
    records = [record for split in source.splits for record in read_split(source, split)]
    assert len(records) == len(bad_folder.good) + len(bad_folder.bad)
    problems = {record.source: record.problem for record in records if record.problem}
    for name, word in bad_folder.bad.items():
        if word != "truncated":  # Its header is valid; the Preprocessor finds it.
            assert word in problems.pop(str(bad_folder.path / name))
    assert not problems


def test_records_are_equal_after_serialization(bad_folder):
    source = opening.open_source(f"folder:{bad_folder.path}")
    for record in read_split(source, "train"):
        assert features.ImageRecord.from_example(record.to_example()) == record


def test_each_kind_has_a_form_and_an_explanation():
    table = opening.help_table()
    assert {form.partition(":")[0] for form, _ in table} == set(opening.KINDS)
    assert opening.forms() == ", ".join(form for form, _ in table)
    assert set(opening.KINDS) == {"digits", "folder", "csv", "tfrecord", "tfds"}
    assert all(len(explanation) <= 80 and explanation for _, explanation in table)


def test_the_kinds_are_listed_without_heavy_imports():
    code = (
        "import sys; from mixer_tf.datasets.sources import opening; opening.help_table()\n"
        "heavy = {'tensorflow', 'tensorflow_datasets', 'sklearn', 'numpy', 'PIL'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_listing_files_needs_no_tensorflow(image_folder):
    code = (
        "import sys; from mixer_tf.datasets import sources\n"
        f"source = sources.open_source('folder:{image_folder}')\n"
        "assert len(list(source.read(source.shards_of('train')[0]))) > 9\n"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
