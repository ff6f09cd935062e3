# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from mixer_tf import messages
from mixer_tf.datasets import files, source_writing
from mixer_tf.datasets.sources import opening, tfrecord_features


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("s3://me:secret@host/a.png", "s3://host/a.png"),
        ("s3://secret@host/a.png", "s3://host/a.png"),
        ("s3://me:se@cret@host/a.png", "s3://host/a.png"),
        ("s3://me:se/cret@host/a.png", "s3://host/a.png"),
        ("s3://:secret@host:80/a.png", "s3://host:80/a.png"),
        ("no s3://me:secret@host/a and b://:secret@host", "no s3://host/a and b://host"),
        ("gs://bucket/a@b.png", "gs://bucket/a@b.png"),
        ("http://host:8080/a@b.png", "http://host:8080/a@b.png"),
        ("me:word@host/a.png", "me:word@host/a.png"),
        ("see http://host: mail me@host", "see http://host: mail me@host"),
        ("https://host/a.png?X-Amz-Signature=secret", "https://host/a.png"),
        ("got 'https://me:pw@host/my a.png?token=secret'.", "got 'https://host/my a.png'."),
        ("a://b?sig=secret and c://d#token=secret, e", "a://b and c://d, e"),
        ("gs://bucket/a?.png", "gs://bucket/a?.png"),
        ("gs://bucket/a?/b.png?sig=secret", "gs://bucket/a?/b.png"),
        ("a?b=c.png", "a?b=c.png"),
        ("", ""),
    ],
)
def test_user_and_password_are_cut_out_of_urls(text, clean):
    assert messages.without_credentials(text) == clean


def test_an_error_has_no_password():
    for url in ("pets://me:secret@host/a", "tfrecord:ram://me:secret@host/*"):
        with pytest.raises(ValueError) as caught:
            opening.open_source(url)
        assert "secret" not in messages.clear_message(caught.value)


def test_nothing_that_is_written_has_the_password_of_a_listed_path(tmp_path, write_image_folder):
    """The scheme is unknown, so the remote images cannot be read."""
    write_image_folder(tmp_path, per_class=9)
    rows = [f"{name}/{i:03d}.png,{name}" for name in ("cat", "dog") for i in range(9)]
    rows += [f"odd://me:secret@host/{i}.png,cat" for i in range(9)]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    source = opening.open_source(f"csv:{tmp_path}/list.csv")
    source_writing.write_source(source, str(tmp_path / "out"))
    lines = (tmp_path / "out/quarantine.jsonl").read_text().splitlines()
    assert "odd://host/0.png" in [json.loads(line)["source"] for line in lines]
    assert not any("secret" in line for line in lines)
    records = (
        record
        for split in source.splits
        for shard in source.shards_of(split)
        for record in source.read(shard)
    )
    assert "secret" not in repr(list(records))


def test_the_problem_of_a_remote_file_has_no_password():
    (item,) = tfrecord_features.read_file("odd://me:secret@host/a.tfrecord")
    assert item.problem and "secret" not in item.problem


@pytest.mark.parametrize("user", ["me:secret", "secret", "me:a b secret", "me:se/cret"])
def test_the_record_of_an_unreadable_image_has_no_password(user):
    record = files.read_image(f"odd://{user}@host/a.png?sig=secret", 0, "cat")
    assert record.source == "odd://host/a.png"
    assert "odd://host/a.png" in record.problem
    assert "secret" not in repr(record) and "se/cret" not in repr(record)
