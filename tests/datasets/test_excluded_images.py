# SPDX-License-Identifier: Apache-2.0
"""A list of images to exclude: what it names is left out of every split, and all else is kept."""

import os
import pathlib

import pytest
import tensorflow as tf

from mixer_tf.datasets import examples, excluded_images, image_lists, source_writing
from mixer_tf.datasets.excluded_images import exclude, exclude_listed, numbered_name
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources.opening import open_source
from mixer_tf.datasets.sources.source import Source


def names_by_split(source: Source) -> dict[str, list[str]]:
    return {
        split: [r.source for shard in source.shards_of(split) for r in source.read(shard)]
        for split in source.splits
    }


def without(names: dict[str, list[str]], excluded: set[str]) -> dict[str, list[str]]:
    return {split: [n for n in found if n not in excluded] for split, found in names.items()}


@pytest.fixture(params=["digits", "folder", "csv", "tfrecord", "tfds"])
def source(request, image_folder, tmp_path) -> Source:
    """A source of each kind."""
    if request.param == "digits":
        return open_source("digits")
    if request.param == "csv":
        rows = [f"{path},{path.parent.name}" for path in sorted(image_folder.rglob("*.png"))]
        (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]))
        return open_source(f"csv:{tmp_path / 'list.csv'}")
    folder = open_source(f"folder:{image_folder}")
    if request.param == "tfrecord":
        source_writing.write_source(folder, str(tmp_path))
        return open_source(f"tfrecord:{tmp_path}/Split-*/*")
    if request.param == "tfds":
        return _tfds(folder, tmp_path)
    return folder


def _tfds(folder: Source, data_dir: pathlib.Path) -> Source:
    tfds = pytest.importorskip("tensorflow_datasets")
    records = [
        r for split in folder.splits for s in folder.shards_of(split) for r in folder.read(s)
    ]
    features = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(num_classes=2)}
    tfds.dataset_builders.store_as_tfds_dataset(
        name="pets",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={
            "train": tf.data.Dataset.from_generator(
                lambda: (
                    {"image": tf.io.decode_png(record.encoded), "label": record.label}
                    for record in records
                ),
                output_signature={
                    "image": tf.TensorSpec((None, None, 3), tf.uint8),
                    "label": tf.TensorSpec((), tf.int64),
                },
            )
        },
        data_dir=str(data_dir),
    )
    return open_source("tfds:pets", str(data_dir))


def test_ids_of_work_items_are_those_of_their_records(source):
    for split, names in names_by_split(source).items():
        assert [n for shard in source.shards_of(split) for n in source.ids(shard)] == names


def test_listed_images_are_left_out_of_every_split_and_counted(source):
    names = names_by_split(source)
    chosen = {found[0] for found in names.values() if len(found) > 1} | {names["train"][-1]}
    lines = [*map(source.relative_name, chosen), "no such image"]
    cleaned = exclude(source, lines)
    assert names_by_split(cleaned) == without(names, chosen)
    assert [n for s in cleaned.shards_of("train") for n in cleaned.ids(s)] == without(
        names, chosen
    )["train"]
    counted, missing = cleaned.notes[len(source.notes) :]
    assert counted == f"images excluded by --exclude: {len(chosen)}"
    assert missing.startswith(f"lines of --exclude that name no image of {source.spec}: 1, such as")
    assert cleaned.fingerprint() != source.fingerprint()
    assert exclude(source, lines[:-1]).fingerprint() == cleaned.fingerprint()


def test_images_are_named_by_absolute_paths_and_by_paths_in_the_folder(
    image_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(image_folder.parent)
    source = open_source(f"folder:{image_folder.name}")
    listed = tmp_path / "list.txt"
    listed.write_text(
        f"# a comment\n\ncat/000.png\n{image_folder}/cat/000.png\n{image_folder}/dog/001.png\n"
        f"{image_folder.name}/dog/002.png\n"  # Relative to another folder than that of the source.
    )
    cleaned = exclude_listed(source, str(listed))
    left = {name for found in names_by_split(cleaned).values() for name in found}
    before = {name for found in names_by_split(source).values() for name in found}
    assert before - left == {
        f"{image_folder.name}/cat/000.png",
        f"{image_folder.name}/dog/001.png",
    }
    counted, missing = cleaned.notes
    assert counted == "images excluded by --exclude: 2"
    assert "1, such as" in missing and "a path must be absolute, or relative to the sou" in missing
    assert exclude_listed(source, None) is source


def test_excluded_images_are_not_in_the_dataset_file(image_folder, tmp_path):
    cleaned = exclude(open_source(f"folder:{image_folder}"), ["cat/000.png", "cat/001.png"])
    info = source_writing.write_source(cleaned, str(tmp_path / "data"))
    assert sum(info.examples.values()) == 38
    assert DatasetInfo.read(str(tmp_path / "data")).notes == ("images excluded by --exclude: 2",)


def write_three_splits_of_the_same_images(image_folder, path, num_shards: int):
    """Returns a source whose splits train, eval and test have ten images of the same ids each."""
    folder = open_source(f"folder:{image_folder}")
    records = [r for s in folder.shards_of("train") for r in folder.read(s)]
    for name in ("train", "test", "val"):
        examples.write(records[:10], str(path / name), name, num_shards)
    return open_source(f"tfrecord:{path}/*/Split-*/*")


def test_an_id_of_several_images_excludes_all_of_them_with_a_note(image_folder, tmp_path):
    """Such as records whose file name is the same."""
    source = write_three_splits_of_the_same_images(image_folder, tmp_path, num_shards=1)
    cleaned = exclude(source, [names_by_split(source)["train"][0]])
    assert sum(map(len, names_by_split(cleaned).values())) == 27
    counted, several = cleaned.notes[len(source.notes) :]
    assert counted.endswith(": 3") and several.startswith("lines of --exclude that name several")


def test_a_number_names_one_of_several_images_with_an_id(image_folder, tmp_path):
    source = write_three_splits_of_the_same_images(image_folder, tmp_path, num_shards=2)
    names = names_by_split(source)
    lines = [
        numbered_name("train", 1, names["train"][1]),
        numbered_name("train", 7, names["train"][7]),
        numbered_name("eval", 0, names["eval"][0]),
        numbered_name("test", 2, names["test"][3]),  # Another one has this number.
        numbered_name("test", 99, names["test"][3]),
    ]
    cleaned = exclude(source, lines)
    assert names_by_split(cleaned) == {
        "train": [name for n, name in enumerate(names["train"]) if n not in (1, 7)],
        "eval": names["eval"][1:],
        "test": names["test"],
    }
    for split in source.splits:
        ids = [image for shard in cleaned.shards_of(split) for image in cleaned.ids(shard)]
        assert ids == names_by_split(cleaned)[split]
    counted, missing = cleaned.notes[len(source.notes) :]
    assert counted == "images excluded by --exclude: 3"
    assert missing.startswith(f"lines of --exclude that name no image of {source.spec}: 2, such")
    assert len({each.fingerprint() for each in (source, cleaned, exclude(source, lines[:1]))}) == 3
    excluded_images.write(cleaned, str(tmp_path / "list"))
    stored = exclude_listed(source, str(tmp_path / "list" / excluded_images.FILE_NAME))
    assert names_by_split(stored) == names_by_split(cleaned)


def test_of_lines_with_one_number_the_one_with_the_name_of_the_image_counts(image_folder, tmp_path):
    """Such as in two lists that were joined, one of which is from before the source changed."""
    source = write_three_splits_of_the_same_images(image_folder, tmp_path, num_shards=1)
    names = names_by_split(source)["train"]
    for others in range(20):
        lines = [numbered_name("train", 4, f"{others}-{n}.jpg") for n in range(3)]
        cleaned = exclude(source, [*lines, numbered_name("train", 4, names[4])])
        assert names_by_split(cleaned)["train"] == [*names[:4], *names[5:]]
        counted, missing = cleaned.notes[len(source.notes) :]
        assert counted == "images excluded by --exclude: 1"
        assert f"that name no image of {source.spec}: 3, such as '{lines[0]}'" in missing


def test_an_image_that_two_lines_name_is_counted_once(image_folder):
    source = open_source(f"folder:{image_folder}")
    first = source.relative_name(names_by_split(source)["train"][0])
    cleaned = exclude(source, [first, numbered_name("train", 0, first)])
    assert cleaned.notes[len(source.notes) :] == ("images excluded by --exclude: 1",)
    by_number = exclude(source, [numbered_name("train", 0, first)])
    assert names_by_split(by_number) == names_by_split(cleaned)


def test_numbers_cannot_empty_a_split(image_folder):
    source = open_source(f"folder:{image_folder}")
    names = names_by_split(source)["eval"]
    lines = [numbered_name("eval", n, source.relative_name(name)) for n, name in enumerate(names)]
    with pytest.raises(ValueError, match="it lists all .* of eval"):
        exclude(source, lines)


def test_odd_names_survive_the_list(tmp_path, make_pixels, encode):
    odd = ["two\nlines.png", " blank.png", "#1.png", "{.png", "caf\udce9.png", "été 夏.png"]
    folder = tmp_path / "pets" / "cat"
    folder.mkdir(parents=True)
    plain = [f"{index}.png" for index in range(30)]
    for index, name in enumerate([*odd, *plain]):
        with open(os.fsencode(folder / "x").replace(b"x", os.fsencode(name)), "wb") as file:
            file.write(encode(make_pixels(index), "PNG"))
    source = open_source(f"folder:{tmp_path / 'pets'}")
    listed = tmp_path / "list.txt"
    listed.write_text("".join(image_lists.to_line(f"cat/{name}") + "\n" for name in odd))
    assert image_lists.read(str(listed), "a list") == {f"cat/{name}" for name in odd}
    assert image_lists.to_line("été 夏.png") == "été 夏.png"
    cleaned = exclude_listed(source, str(listed))
    left = {os.path.basename(n) for found in names_by_split(cleaned).values() for n in found}
    assert left == set(plain)
    excluded_images.write(cleaned, str(tmp_path / "data"))
    stored = image_lists.read(str(tmp_path / "data" / excluded_images.FILE_NAME), "a list")
    assert stored == {f"cat/{name}" for name in odd}


def test_a_list_of_everything_or_of_another_kind_is_one_clear_error(image_folder, tmp_path):
    source = open_source(f"folder:{image_folder}")
    names = [name for found in names_by_split(source).values() for name in found]
    for listed in (names, names_by_split(source)["eval"]):
        message = "--exclude must leave at least one image in each split of .* all .* of (tr|ev)"
        with pytest.raises(ValueError, match=message):
            exclude(source, listed)
    with pytest.raises(ValueError, match="a list of images to exclude must be an existing file"):
        exclude_listed(source, str(tmp_path / "missing.txt"))
