# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json

import pytest

from mixer_tf import images
from mixer_tf.datasets import files, validation


@pytest.fixture
def record(make_pixels, encode):
    return files.make_record(encode(make_pixels(0), "PNG"), 1, "cat", "a/b.png")


def test_a_usable_record_is_not_changed(record):
    assert validation.check_record(record) is record


def test_a_webp_becomes_a_png(make_pixels, encode):
    webp = files.make_record(encode(make_pixels(0), "WEBP"), 1, "cat", "a/b.webp")
    checked = validation.check_record(webp)
    assert (checked.format, checked.width, checked.label) == ("PNG", 16, 1)
    assert checked.encoded.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"problem": "file not found"}, "file not found"),
        ({"label": None}, "no label"),
        ({"encoded": b""}, "empty file"),
        ({"encoded": b"\x89PNG\r\n\x1a\n"}, "corrupt PNG"),
    ],
)
def test_the_error_is_the_reason(record, change, reason):
    with pytest.raises(images.UnusableImageError, match=reason):
        validation.check_record(dataclasses.replace(record, **change))


def test_a_line_is_json_with_readable_unicode(record):
    odd = dataclasses.replace(record, source="ünï/\udcff.jpg")
    line = validation.to_line(odd, "train", "empty file")
    assert "ünï" in line
    assert json.loads(line) == {
        "source": "ünï/\N{REPLACEMENT CHARACTER}.jpg",
        "split": "train",
        "class_name": "cat",
        "reason": "empty file",
    }


def test_records_are_examined_as_each_of_them_alone(bad_folder, record, monkeypatch):
    names = [*bad_folder.good, *bad_folder.bad, "cat/not there.jpg"]
    records = [files.read_image(str(bad_folder.path / name), 0, "cat") for name in names]
    records.insert(3, dataclasses.replace(record, label=None))
    monkeypatch.setattr(validation, "_BATCH_SIZE", 20)
    unusable = []
    found = list(validation.usable_records(records, lambda *each: unusable.append(each)))
    expected, reasons = [], []
    for each in records:
        try:
            expected.append(validation.check_record(each))
        except images.UnusableImageError as error:
            reasons.append((each, str(error)))
    assert found == expected and len(found) == len(bad_folder.good)
    assert [(each, str(error)) for each, error in unusable] == reasons
    pairs = validation.examine_records(records)
    assert [each for each, _ in pairs] == records
