# SPDX-License-Identifier: Apache-2.0
"""DataFingerprint changes with the data, and only then."""

import shutil

import pytest
from tfx.orchestration.portable.data_types import ExecutionInfo
from tfx.types import standard_artifacts

from components.data_fingerprint import DataFingerprint
from components.data_fingerprint.driver import STATE, Driver
from components.data_fingerprint.executor import Executor


def properties(source, *test_sets) -> dict:
    return DataFingerprint(f"folder:{source}", [f"folder:{t}" for t in test_sets]).exec_properties


def fingerprint(folder, exec_properties: dict) -> str:
    artifact = standard_artifacts.String()
    artifact.uri = str(folder / "fingerprint")
    Executor().Do({}, {"fingerprint": [artifact]}, exec_properties)
    return artifact.read()


@pytest.fixture
def pets(tmp_path, image_folder):
    shutil.copytree(image_folder, tmp_path / "pets")
    return tmp_path / "pets"


def test_a_new_file_changes_it(tmp_path, pets):
    before = fingerprint(tmp_path, properties(pets))
    assert fingerprint(tmp_path, properties(pets)) == before
    shutil.copy(pets / "cat" / "000.png", pets / "cat" / "new.png")
    assert fingerprint(tmp_path, properties(pets)) != before


def test_downstream_test_sets_are_part_of_it(tmp_path, pets):
    other = tmp_path / "other"
    shutil.copytree(pets, other)
    before = fingerprint(tmp_path, properties(pets, other))
    assert fingerprint(tmp_path, properties(pets)) != before
    (other / "dog" / "000.png").unlink()
    assert fingerprint(tmp_path, properties(pets, other)) != before


def test_the_list_of_images_to_keep_is_part_of_it(tmp_path, pets):
    keep = tmp_path / "keep.txt"
    keep.write_text("a.png\n")
    with_list = DataFingerprint(f"folder:{pets}", keep_duplicates=str(keep)).exec_properties
    before = fingerprint(tmp_path, with_list)
    assert fingerprint(tmp_path, with_list) == before != fingerprint(tmp_path, properties(pets))
    keep.write_text("a.png\nb.png\n")
    assert fingerprint(tmp_path, with_list) != before


def test_the_list_of_images_to_exclude_is_part_of_it(tmp_path, pets):
    listed = tmp_path / "removed.txt"
    listed.write_text("cat/000.png\n")
    with_list = DataFingerprint(f"folder:{pets}", exclude=str(listed)).exec_properties
    before = fingerprint(tmp_path, with_list)
    assert before != fingerprint(tmp_path, properties(pets))
    listed.write_text("cat/000.png\ncat/001.png\n")
    assert fingerprint(tmp_path, with_list) != before


def test_driver_puts_it_into_the_cache_key_and_the_executor_uses_it(tmp_path, pets):
    exec_properties = {k: v for k, v in properties(pets).items() if v is not None}
    output = Driver(None).run(ExecutionInfo(exec_properties=exec_properties))
    state = output.exec_properties[STATE].string_value
    assert state == fingerprint(tmp_path, exec_properties)
    assert output.exec_properties["source"].string_value == f"folder:{pets}"
    assert fingerprint(tmp_path, {**exec_properties, STATE: "as found"}) == "as found"


def test_a_source_that_is_missing_is_one_clear_message(tmp_path):
    with pytest.raises(ValueError, match="nowhere"):
        fingerprint(tmp_path, properties(tmp_path / "nowhere"))


def test_the_files_of_the_weights_are_part_of_it(tmp_path, pets):
    weights = tmp_path / "base" / "1"
    weights.mkdir(parents=True)
    (weights / "variables").write_bytes(b"1")
    given = DataFingerprint(f"folder:{pets}", weights=str(weights.parent)).exec_properties
    before = fingerprint(tmp_path, given)
    assert fingerprint(tmp_path, given) == before
    (weights / "variables").write_bytes(b"22")
    assert fingerprint(tmp_path, given) != before
