# SPDX-License-Identifier: Apache-2.0
"""What real folders contain beside images with known suffixes."""

import os
import shutil
import unicodedata

import pytest
from PIL import Image

from mixer_tf.datasets import files
from mixer_tf.datasets.sources import opening
from mixer_tf.datasets.sources.source import Source


def open_folder(path) -> Source:
    return opening.open_source(f"folder:{path}")


def count(source: Source) -> int:
    return sum(len(chunk.paths) for split in source.splits for chunk in source.shards_of(split))


def test_folders_of_other_programs_are_ignored(tmp_path, write_image_folder):
    write_image_folder(tmp_path)
    image = tmp_path / "cat/000.png"
    for folder in (
        *("@eaDir", "cat/@eaDir/000.png", "cat/.ipynb_checkpoints", ".ipynb_checkpoints"),
        *("__MACOSX/cat", "lost+found", "$RECYCLE.BIN", "dog/#recycle"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        shutil.copy(image, tmp_path / folder / "thumbnail.png")
    for name in ("cat/Thumbs.db", "cat/.DS_Store", "dog/desktop.ini", "dog/._000.png"):
        (tmp_path / name).write_bytes(b"x")
    source = open_folder(tmp_path)
    assert source.class_names == ("cat", "dog")
    assert count(source) == 40
    assert source.notes == (
        "files that are not images were ignored (.db, .ini): 2",
        "folders of other programs were ignored "
        "(#recycle, $RECYCLE.BIN, @eaDir, __MACOSX, lost+found): 6",
    )


def test_folders_of_other_programs_do_not_hide_splits(tmp_path, write_image_folder):
    write_image_folder(tmp_path / "train")
    write_image_folder(tmp_path / "__MACOSX/train")
    write_image_folder(tmp_path / "@eaDir", classes=("x",))
    source = open_folder(tmp_path)
    assert count(source) == 40
    assert source.notes == ("folders of other programs were ignored (@eaDir, __MACOSX): 2",)


@pytest.mark.parametrize("name", ["Müller", "Åkerö", "한국어"])
def test_two_unicode_forms_of_a_name_are_one_class(tmp_path, write_image_folder, name):
    forms = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
    write_image_folder(tmp_path / "train", classes=(forms[0], "dog"))
    write_image_folder(tmp_path / "test", classes=(forms[1], "dog"), per_class=4)
    write_image_folder(tmp_path / "val", classes=("dog",), per_class=4)
    source = open_folder(tmp_path)
    assert source.class_names == tuple(sorted(["dog", forms[0]]))
    assert source.notes == (
        f"class names in several Unicode forms were read as one class: 1 ({forms[0]!r})",
    )
    records = [record for shard in source.shards_of("test") for record in source.read(shard)]
    assert len(records) == 8 and not any(record.problem for record in records)
    assert {record.class_name for record in records} == set(source.class_names)


def test_both_unicode_forms_in_one_folder_are_one_class(tmp_path, write_image_folder):
    forms = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD")]
    write_image_folder(tmp_path, classes=(*forms, "dog"))
    source = open_folder(tmp_path)
    assert source.class_names == ("dog", "é")
    assert count(source) == 60
    assert "1 ('é')" in source.notes[0]


def test_images_without_a_known_suffix_are_read(tmp_path, write_image_folder):
    write_image_folder(tmp_path)
    for number in range(8):
        os.rename(tmp_path / f"cat/{number:03d}.png", tmp_path / f"cat/{number}")
    (tmp_path / "fish").mkdir()
    for number in range(5):
        Image.new("RGB", (9, 9), number).save(tmp_path / f"fish/{number}.2024", "JPEG")
    (tmp_path / "fish/README").write_text("about fish")
    (tmp_path / "fish/1.jpg.part").write_bytes(b"\xff\xd8\xff\xe0")
    os.mkfifo(tmp_path / "fish/pipe")
    source = open_folder(tmp_path)
    assert source.class_names == ("cat", "dog", "fish")
    assert count(source) == 45
    assert source.notes == (
        "files that are not images were ignored (no suffix, .part): 3",
        "images without a known suffix were recognized by their first bytes: 13",
    )


@pytest.mark.parametrize(
    ("suffix", "image_format"),
    [
        *((".ico", "ICO"), (".jp2", "JPEG2000"), (".j2k", "JPEG2000"), (".tga", "TGA")),
        *((".ppm", "PPM"), (".mpo", "MPO"), (".JPE", "JPEG"), (".jpg", "PNG")),
    ],
)
def test_less_common_suffixes_are_read(tmp_path, write_image_folder, suffix, image_format):
    write_image_folder(tmp_path)
    (tmp_path / "fish").mkdir()
    for number in range(20):
        path = tmp_path / f"fish/{number}{suffix}"
        Image.new("RGB", (16, 16), number).save(path, image_format)
    source = open_folder(tmp_path)
    assert (count(source), source.notes) == (60, ())
    records = [record for shard in source.shards_of("train") for record in source.read(shard)]
    assert not [record.problem for record in records if record.problem]


def test_only_files_of_unknown_suffixes_are_opened(tmp_path, write_image_folder, monkeypatch):
    """Listing a million files in a bucket would take hours if each were opened."""
    write_image_folder(tmp_path)
    for name in ("notes.txt", "boxes.xml", "model.npz", "unknown"):
        (tmp_path / "cat" / name).write_text("no image")
    opened = []
    monkeypatch.setattr(files, "starts_like_image", lambda path: opened.append(path))
    open_folder(tmp_path)
    assert [os.path.basename(path) for path in opened] == ["unknown"]


def test_a_class_of_raw_photographs_is_not_silent(tmp_path, write_image_folder):
    """A raw photograph starts like a TIFF, whose first image is a small preview."""
    write_image_folder(tmp_path)
    (tmp_path / "fish").mkdir()
    for number in range(7):
        path = tmp_path / f"fish/{number}.NEF"
        Image.new("RGB", (16, 16), number).save(path, "TIFF")
    source = open_folder(tmp_path)
    assert source.class_names == ("cat", "dog")
    assert source.notes == (
        "class folder 'fish' has no images, only 7 other files: ignored",
        "files that are not images were ignored (.nef): 7",
    )


def test_each_folder_is_listed_once(tmp_path, write_image_folder, monkeypatch):
    write_image_folder(tmp_path / "train", per_class=3)
    write_image_folder(tmp_path / "test", per_class=3)
    listed = []
    original = files.list_folder
    monkeypatch.setattr(
        files, "list_folder", lambda path: listed.append(str(path)) or original(path)
    )
    open_folder(tmp_path)
    assert len(listed) == len(set(listed)) == 7
