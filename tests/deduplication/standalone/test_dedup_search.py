# SPDX-License-Identifier: Apache-2.0
"""The search of `mixer dedup` finds what the library finds, with any number of processes."""

import csv
import dataclasses
import io
import json
import os
import pathlib
import re
import shutil

import pytest
from deduplication_in_memory import find_duplicates, remove_duplicates

from mixer_tf.datasets import examples, source_writing, work_items
from mixer_tf.datasets.excluded_images import exclude_listed
from mixer_tf.datasets.files import make_record
from mixer_tf.datasets.sources.opening import open_source
from mixer_tf.datasets.sources.source import Source
from mixer_tf.datasets.unlabeled import open_images
from mixer_tf.deduplication import fingerprints
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.standalone import fingerprint_files, store
from mixer_tf.deduplication.standalone.comparison import Comparison, require_different
from mixer_tf.deduplication.standalone.output import OutputFolder
from mixer_tf.deduplication.standalone.results import Outcome, write_results
from mixer_tf.deduplication.standalone.search import search
from mixer_tf.features import SPLITS

FILES = (
    *("pairs.csv", "removed.txt", "report.html", "report.json"),
    *("pairs.jsonl", "label_conflicts.jsonl"),
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, random_image, save) -> pathlib.Path:
    """Training images with duplicates in their own splits, in themselves, and in another folder."""
    root = tmp_path_factory.mktemp("folders")
    files = {f"own/train/cat/{index:03}.png": save(random_image(index)) for index in range(150)}
    files |= {f"own/val/cat/{index}.png": save(random_image(300 + index)) for index in range(70)}
    files |= {f"own/test/dog/{index}.png": save(random_image(400 + index)) for index in range(9)}
    files |= {
        "own/train/cat/003-again.jpg": save(random_image(3), "JPEG", quality=80),
        "own/train/cat/of test.jpg": save(random_image(402), "JPEG", quality=80),
        "own/train/dog/of test.jpg": save(random_image(401).transpose(0), "JPEG", quality=80),
        "own/train/dog/equal.png": files["own/test/dog/4.png"],
        "own/val/dog/of test.webp": save(random_image(405), "WEBP", quality=80),
        "own/val/cat/broken.png": b"not an image",
        "own/train/cat/broken.png": b"not an image either",
        "other/thing/0.jpg": save(random_image(7), "JPEG", quality=70),
        "other/thing/1.jpg": save(random_image(401), "JPEG", quality=70),
        "other/thing/2.jpg": save(random_image(500), "JPEG", quality=70),
        **{f"other/thing/equal-{n}.png": files["own/train/cat/009.png"] for n in range(5)},
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def make_comparison(folders: pathlib.Path, **options) -> Comparison:
    train, other = (open_source(f"folder:{folders / name}") for name in ("own", "other"))
    options = {"within_train": True, **options}
    return Comparison(train, {"other": other}, DeduplicationOptions(**options))


def run(comparison: Comparison, out: pathlib.Path, processes: int = 1, progress=None) -> Outcome:
    folder = OutputFolder(str(out))
    out.mkdir(exist_ok=True)
    folder.claim(comparison.description(), replace=False)
    found = search(comparison, folder.work, processes, progress or (lambda *_: None))
    return write_results(found, comparison, folder)


def read_rows(out: pathlib.Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((out / "pairs.csv").read_text("utf-8"))))


def names(source: Source) -> set[str]:
    return {i for split in source.splits for s in source.shards_of(split) for i in source.ids(s)}


@pytest.fixture(scope="module")
def outcome(folders, tmp_path_factory) -> tuple[pathlib.Path, Outcome]:
    out = tmp_path_factory.mktemp("out")
    return out, run(make_comparison(folders), out)


def of_library(comparison: Comparison) -> list[tuple]:
    result = find_duplicates(comparison.train, [*comparison.against.values()], comparison.options)
    names = {source.spec: name for name, source in comparison.against.items()}
    return [decided(removal, names) for removal in result.removals]


def decided(removal, names=None) -> tuple:
    """A decision without the number of the work item."""
    image, other = removal.match.image, removal.match.other
    sets = sorted((names or {}).get(name, name) for name in removal.test_sets)
    return image.source, other.source, removal.match.distance, removal.kept_because, sets


def test_the_decisions_are_those_of_the_library(folders, outcome):
    comparison = make_comparison(folders)
    found = [decided(removal) for removal in outcome[1].result.removals]
    assert found == of_library(comparison)
    removed = {pathlib.Path(item[0]).name for item in found if not item[3]}
    # Of the two images within training, the first by name stays.
    assert removed == {"003.png", "of test.jpg", "equal.png", "of test.webp", "007.png", "009.png"}
    summary = json.loads((outcome[0] / "report.json").read_text("utf-8"))
    library = find_duplicates(
        comparison.train, [*comparison.against.values()], comparison.options
    ).summary()
    renamed = json.dumps(library).replace(comparison.against["other"].spec, "other")
    assert summary == json.loads(renamed)


def test_every_pair_is_a_row_with_paths_relative_to_its_source(outcome):
    out, found = outcome
    rows = read_rows(out)
    assert len(rows) == found.num_pairs
    pairs = {(row["train"], row["against_set"], row["against"]) for row in rows}
    assert len(pairs) == len(rows)
    assert {
        ("train/dog/of test.jpg", "test", "test/dog/1.png"),  # Both of its duplicates.
        ("train/dog/of test.jpg", "other", "thing/1.jpg"),
        ("train/cat/of test.jpg", "test", "test/dog/2.png"),
        ("val/dog/of test.webp", "test", "test/dog/5.png"),
        ("train/dog/equal.png", "test", "test/dog/4.png"),
        ("train/cat/007.png", "other", "thing/0.jpg"),
    } < pairs
    by_pair = {(row["train"], row["against"]): row for row in rows}
    row = by_pair["val/dog/of test.webp", "test/dog/5.png"]
    assert (row["split"], row["train_class"], row["against_class"]) == ("eval", "dog", "dog")
    row = by_pair["train/dog/equal.png", "test/dog/4.png"]
    assert (row["distance"], row["rule"], row["split"]) == ("0.0000", "exact copy", "train")
    row = by_pair["train/dog/of test.jpg", "test/dog/1.png"]
    assert row["rule"] == "mirrored near-duplicate" and 0 < float(row["distance"]) < 0.14


def test_images_of_each_set_that_leaked_are_counted_with_all_equal_ones(outcome):
    leaked = outcome[1].result.summary()["leaked"]
    assert leaked == {"eval": 0, "test": 2, "other": 7}
    counts = outcome[1].result.counts
    assert counts["compared", "train"] == 154 and counts["unreadable", "train"] == 1
    assert counts["compared", "eval"] == 71 and counts["unreadable", "eval"] == 1


def test_the_list_leaves_out_exactly_what_the_library_removes(folders, outcome):
    comparison = make_comparison(folders)
    cleaned = exclude_listed(comparison.train, str(outcome[0] / "removed.txt"))
    result = find_duplicates(comparison.train, [*comparison.against.values()], comparison.options)
    assert names(cleaned) == names(remove_duplicates(comparison.train, result))
    lines = (outcome[0] / "removed.txt").read_text("utf-8").splitlines()
    assert len([line for line in lines if not line.startswith("#")]) == len(result.removed)
    assert "train/dog/equal.png" in lines and "val/dog/of test.webp" in lines


def test_two_processes_write_the_same_files(folders, outcome, tmp_path):
    parts = []
    run(make_comparison(folders), tmp_path / "two", 2, lambda *part: parts.append(part))
    for name in FILES:
        assert (tmp_path / "two" / name).read_bytes() == (outcome[0] / name).read_bytes(), name
    titles = list(dict.fromkeys(title for title, _, _ in parts))
    assert len(titles) == 3
    for title in titles:
        numbers = [(done, total) for name, done, total in parts if name == title]
        assert numbers == [(done, len(numbers)) for done in range(1, len(numbers) + 1)]


class Stop(BaseException):
    """Stops a search, as Ctrl-C does."""


@pytest.fixture
def num_read(monkeypatch) -> list[str]:
    """The names of the images that are read and fingerprinted, in order."""
    found, read = [], fingerprints._read

    def recording(record, image_id):
        found.append(record.source)
        return read(record, image_id)

    monkeypatch.setattr(fingerprints, "_read", recording)
    return found


def test_a_work_item_of_many_images_is_stored_in_several_files(
    folders, outcome, tmp_path, monkeypatch
):
    """Such as a TFRecord file: never all of its images are in memory."""
    monkeypatch.setattr(store, "_PARTS_OF_FILE", 2)
    monkeypatch.setattr(fingerprints, "_BATCH_SIZE", 8)
    run(make_comparison(folders), tmp_path)
    several = [*tmp_path.glob("work/*/*-1.npz")]
    assert len(several) >= 4  # Of 64 images.
    sizes = [len(fingerprint_files.read(str(path))) for path in tmp_path.glob("work/*/*-*.npz")]
    assert max(sizes) == 16
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (outcome[0] / name).read_bytes(), name
    expected = [(tmp_path / name).read_bytes() for name in FILES]
    several[0].write_bytes(several[0].read_bytes()[:-100])
    for path in tmp_path.glob("work/*/*.json"):
        path.unlink()
    run(make_comparison(folders), tmp_path)
    assert [(tmp_path / name).read_bytes() for name in FILES] == expected


@pytest.mark.parametrize("stop_after", [1, 2, 4, 5])
def test_a_stopped_search_resumes_and_reads_no_image_twice(
    folders, outcome, tmp_path, num_read, stop_after
):
    calls = []

    def stop(*part):
        calls.append(part)
        if len(calls) == stop_after:
            raise Stop

    with pytest.raises(Stop):
        run(make_comparison(folders), tmp_path, 1, stop)
    assert not (tmp_path / "pairs.csv").exists()
    run(make_comparison(folders), tmp_path)
    assert len(num_read) == len(set(num_read))
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (outcome[0] / name).read_bytes(), name
    num_read.clear()
    run(make_comparison(folders), tmp_path)
    assert num_read == []


def test_a_changed_image_is_read_again_with_its_work_item_alone(folders, tmp_path, num_read, save):
    copy = tmp_path / "folders"
    shutil.copytree(folders, copy)
    run(make_comparison(copy), tmp_path / "out")
    num_read.clear()
    changed = copy / "own/train/cat/011.png"
    changed.write_bytes((copy / "own/test/dog/8.png").read_bytes())
    run(make_comparison(copy), tmp_path / "out")
    assert str(changed) in num_read and len(num_read) <= 64
    pairs = {(row["train"], row["against"]) for row in read_rows(tmp_path / "out")}
    assert ("train/cat/011.png", "test/dog/8.png") in pairs


def test_damaged_files_of_work_items_are_made_again(folders, outcome, tmp_path):
    run(make_comparison(folders), tmp_path)
    for path in (tmp_path / "work").glob("*/*"):
        with open(path, "r+b") as file:
            file.truncate(os.path.getsize(path) // 2)
    run(make_comparison(folders), tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (outcome[0] / name).read_bytes(), name


def test_all_images_are_training_images_on_request(folders, tmp_path):
    comparison = make_comparison(folders, within_train=False)
    comparison = dataclasses.replace(comparison, ignore_splits=True)
    found = run(comparison, tmp_path)
    assert found.result.leaked == {"other": 7}
    assert found.result.counts["compared", "train"] == 154 + 71 + 9
    assert {row["against_set"] for row in read_rows(tmp_path)} == {"other"}


def test_report_mode_writes_no_list(folders, tmp_path):
    run(make_comparison(folders, mode="report"), tmp_path)
    assert not (tmp_path / "removed.txt").exists()
    assert read_rows(tmp_path)


def prepare_tfds(source: Source, data_dir: pathlib.Path) -> Source:
    """Stores the usable images of a source as a TFDS dataset with a train and a test split."""
    import tensorflow as tf

    tfds = pytest.importorskip("tensorflow_datasets")
    features = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(num_classes=2)}

    def read(split: str) -> tf.data.Dataset:
        records = [r for shard in source.shards_of(split) for r in source.read(shard)]
        images = [
            {"image": tf.io.decode_image(r.encoded, expand_animations=False), "label": r.label}
            for r in records
            if not r.problem and r.format != "WEBP"
        ]
        spec = {
            "image": tf.TensorSpec((None, None, 3), tf.uint8),
            "label": tf.TensorSpec((), "int64"),
        }
        return tf.data.Dataset.from_generator(lambda: iter(images), output_signature=spec)

    tfds.dataset_builders.store_as_tfds_dataset(
        name="own",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={split: read(split) for split in ("train", "test")},
        data_dir=str(data_dir),
    )
    return open_source("tfds:own", str(data_dir))


@pytest.mark.parametrize(
    "kind", ["digits", "csv", "tfrecord", pytest.param("tfds", marks=pytest.mark.slow)]
)
def test_every_kind_of_source_is_searched_as_by_the_library(kind, folders, tmp_path, monkeypatch):
    train = open_source(f"folder:{folders / 'own'}")
    if kind == "digits":
        train = open_source("digits")
    if kind == "csv":
        rows = [f"{path},{path.parent.name}" for path in sorted(folders.glob("own/*/*/*"))]
        (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]))
        train = open_source(f"csv:{tmp_path / 'list.csv'}")
    if kind == "tfrecord":
        source_writing.write_source(train, str(tmp_path))
        train = open_source(f"tfrecord:{tmp_path}/Split-*/*")
    if kind == "tfds":
        train = prepare_tfds(train, tmp_path)
        monkeypatch.setattr(work_items, "_MAX_IMAGES", 50)
    other = open_source(f"folder:{folders / 'other'}")
    comparison = Comparison(train, {"other": other}, DeduplicationOptions(within_train=True))
    found = run(comparison, tmp_path / "out")
    assert [decided(removal) for removal in found.result.removals] == of_library(comparison)
    assert bool(found.result.removals) == (kind != "digits")
    cleaned = exclude_listed(train, str(tmp_path / "out/removed.txt"))
    assert len(names(train)) - len(names(cleaned)) == len(found.result.removed)


def test_odd_names_are_text_in_every_file(tmp_path, random_image, save):
    odd = ["two\nlines.png", "=1+1.png", "caf\udce9.png", "<b>.png", 'a,b".png']
    for split, names_of in {"train/cat": odd, "test/cat": ["0.png"], "val/cat": ["v.png"]}.items():
        folder = tmp_path / "own" / split
        folder.mkdir(parents=True)
        for name in names_of:
            path = os.path.join(os.fsencode(folder), os.fsencode(name))
            with open(path, "wb") as file:
                file.write(save(random_image(9 if name == "v.png" else 1)))
    (tmp_path / "own/train/cat/fine.png").write_bytes(save(random_image(3)))
    train = open_source(f"folder:{tmp_path / 'own'}")
    run(Comparison(train, {}, DeduplicationOptions()), tmp_path / "out")
    rows = read_rows(tmp_path / "out")
    assert {row["train"] for row in rows} == {
        *(
            "train/cat/two\nlines.png",
            "train/cat/=1+1.png",
            "train/cat/caf\N{REPLACEMENT CHARACTER}.png",
        ),
        *("train/cat/<b>.png", 'train/cat/a,b".png'),
    }
    cleaned = exclude_listed(train, str(tmp_path / "out/removed.txt"))
    assert {os.path.basename(name) for name in names(cleaned)} == {"fine.png", "0.png", "v.png"}


def test_images_are_compared_among_themselves_alone(tmp_path, random_image, save):
    """Work items without a usable image, and nothing else to compare with."""
    for index in range(70):
        path = tmp_path / "own" / ("cat", "dog")[index % 2] / f"{index:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"broken" if index > 5 else save(random_image(index % 5)))
    shutil.copy(tmp_path / "own/cat/02.png", tmp_path / "own/dog/02-again.png")
    train = open_source(f"folder:{tmp_path / 'own'}")
    options = DeduplicationOptions(within_train=True)
    found = run(Comparison(train, {}, options, ignore_splits=True), tmp_path / "out")
    counts = found.result.counts
    assert (counts["compared", "train"], counts["unreadable", "train"]) == (7, 64)
    assert {(row["train"], row["against"]) for row in read_rows(tmp_path / "out")} == {
        ("dog/05.png", "cat/00.png"),
        ("dog/02-again.png", "cat/02.png"),
    }
    # Both pairs have equal bytes and different labels.
    assert len(found.result.label_conflicts) == 2
    assert found.result.removed == []
    assert [removal.kept_because for removal in found.result.removals] == ["labels differ"] * 2


@pytest.fixture
def repeated_ids(tmp_path, random_image, save) -> Source:
    """TFRecord files whose ids repeat in each class and split; the last two cats leaked."""
    seeds = {
        ("train", "cat"): [0, 1, 2, 201, 203],
        ("train", "dog"): [10, 11, 12, 13, 14],
        ("eval", "cat"): [100, 101],
        ("test", "cat"): [200, 201, 202, 203],
    }
    for split in ("train", "eval", "test"):
        records = []
        for label, name in enumerate(("cat", "dog")):
            for index, seed in enumerate(seeds.get((split, name), [])):
                encoded = save(random_image(seed))
                records.append(make_record(encoded, label, name, f"{index:04}.png"))
        broken = make_record(b"no image", 0, "cat", "broken.png")
        examples.write([broken, *records], str(tmp_path / "data"), split, 1)
    return open_source(f"tfrecord:{tmp_path / 'data'}/Split-*/*")


def count_by_split(source: Source) -> dict[str, int]:
    return {split: sum(len([*source.ids(s)]) for s in source.shards_of(split)) for split in SPLITS}


def test_one_image_of_several_with_its_id_is_left_out(repeated_ids, tmp_path):
    comparison = Comparison(repeated_ids, {}, DeduplicationOptions())
    found = run(comparison, tmp_path / "out")
    names = ["train:4:0003.png", "train:5:0004.png"]
    lines = (tmp_path / "out/removed.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == names
    assert found.num_numbered == 2
    rows = read_rows(tmp_path / "out")
    assert [row["train"] for row in rows] == names
    assert [row["against"] for row in rows] == ["test:2:0001.png", "test:4:0003.png"]
    cleaned = exclude_listed(repeated_ids, str(tmp_path / "out/removed.txt"))
    assert count_by_split(repeated_ids) == {"train": 11, "eval": 3, "test": 5}
    assert count_by_split(cleaned) == {"train": 9, "eval": 3, "test": 5}
    left = [r for s in cleaned.shards_of("train") for r in cleaned.read(s)]
    assert [(r.class_name, r.source) for r in left] == [
        ("cat", "broken.png"),
        *(("cat", f"{index:04}.png") for index in range(3)),
        *(("dog", f"{index:04}.png") for index in range(5)),
    ]


def test_one_image_of_several_with_its_id_is_kept(repeated_ids, tmp_path):
    keep = frozenset({"train:4:0003.png", "train:9:0003.png"})
    found = run(Comparison(repeated_ids, {}, DeduplicationOptions(keep=keep)), tmp_path / "one")
    assert [removal.match.image.source for removal in found.result.removed] == ["train:5:0004.png"]
    assert found.result.leaked == {"test": 1}
    assert found.unused_keep == ("train:9:0003.png",) and not found.keep_several


def test_an_id_in_the_list_keeps_all_images_with_it_and_that_is_said(
    repeated_ids, tmp_path, random_image, save
):
    path = next((tmp_path / "data").glob("Split-train/*"))
    more = make_record(save(random_image(200)), 1, "dog", "0003.png")
    records = [*examples.read_records(str(path)), dataclasses.replace(more, class_name="")]
    examples.write(records, str(tmp_path / "data"), "train", 1)
    keep = frozenset({"0003.png"})
    comparison = Comparison(open_source(repeated_ids.spec), {}, DeduplicationOptions(keep=keep))
    found = run(comparison, tmp_path / "out")
    assert [removal.match.image.source for removal in found.result.removed] == ["train:5:0004.png"]
    assert (found.unused_keep, found.keep_several) == ((), ("0003.png",))


def test_all_images_of_several_splits_with_one_id_are_numbered_in_their_splits(
    repeated_ids, tmp_path, random_image, save
):
    (tmp_path / "web").mkdir()
    for seed in (12, 202):
        (tmp_path / f"web/{seed}.png").write_bytes(save(random_image(seed)))
    web = open_images(f"images:{tmp_path / 'web'}")
    comparison = Comparison(repeated_ids, {"web": web}, DeduplicationOptions(), ignore_splits=True)
    run(comparison, tmp_path / "out")
    cleaned = exclude_listed(repeated_ids, str(tmp_path / "out/removed.txt"))
    assert count_by_split(cleaned) == {"train": 10, "eval": 3, "test": 4}


def test_a_path_is_kept_as_a_spreadsheet_shows_it(tmp_path, random_image, save):
    images = {"=x/b.png": ("train", 1), "a.png": ("test", 1), "v.png": ("val", 2)}
    (tmp_path / "=x").mkdir()
    for name, (_, seed) in images.items():
        (tmp_path / name).write_bytes(save(random_image(seed)))
    rows = [f"{name},cat,{split}" for name, (split, _) in images.items()]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    train = open_source(f"csv:{tmp_path / 'list.csv'}")
    run(Comparison(train, {}, DeduplicationOptions()), tmp_path / "out")
    (row,) = read_rows(tmp_path / "out")
    assert row["train"] == "'=x/b.png"
    for line in ("'=x/b.png", "=x/b.png"):
        options = DeduplicationOptions(keep=frozenset([line]))
        found = run(Comparison(train, {}, options), tmp_path / f"keep {len(line)}")
        assert found.result.removed == [] and found.unused_keep == ()


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        (
            {"--train": "folder:{0}", "web": "images:{0}/"},
            "than --train; got folder:{0} and images:{0}/, which are one folder. The splits",
        ),
        ({"--train": "folder:{0}/link", "web": "images:{0}/pets"}, "which are one folder"),
        ({"--train": "folder:{0}/pets", "web": "images:{0}"}, "of which one contains the other"),
        ({"--train": "images:{0}", "web": "folder:{0}/pets/test"}, "which one contains the other"),
        ({"--train": "folder:gs://a/b", "web": "images:gs://a/b/c"}, "of which one contains"),
        (
            {"--train": "digits", "a": "images:{0}", "b": "folder:{0}/pets"},
            "got images:{0} and folder:{0}/pets, of which one contains the other, as 'a' and as",
        ),
        ({"--train": "csv:{0}/pets.csv", "web": "csv:{0}/./pets.csv"}, "got csv:"),
    ],
)
def test_one_folder_as_two_sources_is_an_error(tmp_path, specs, message):
    (tmp_path / "pets").mkdir()
    (tmp_path / "link").symlink_to("pets")
    specs = {name: spec.format(tmp_path) for name, spec in specs.items()}
    with pytest.raises(ValueError, match=re.escape(message.format(tmp_path))):
        require_different(specs)


def test_folders_side_by_side_are_different_sources(tmp_path):
    paths = ("pets", "pets-test", "pet", "gs://a/b", "gs://a/bc")
    specs = {name: f"folder:{name if ':' in name else tmp_path / name}" for name in paths}
    require_different(specs | {"list": f"csv:{tmp_path / 'pets'}/list.csv", "digits": "digits"})
