# SPDX-License-Identifier: Apache-2.0
"""Writes prepared TFDS datasets: from any source, or with the builder that TFDS has for a dataset.

The writer is that of TFDS, so that `tfds.load` reads the result. A dataset appears under its name
only when it is complete.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import re
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from mixer_tf import images, storage
from mixer_tf.datasets import tfds_metadata, validation
from mixer_tf.datasets.quarantine import require_training_images
from mixer_tf.datasets.quarantine_limit import QuarantineLimit
from mixer_tf.datasets.sources import tfds as tfds_source
from mixer_tf.datasets.sources.source import Source
from mixer_tf.datasets.sources.tfds_features import PATH
from mixer_tf.features import EVAL, TEST, TRAIN, ImageRecord
from mixer_tf.messages import without_credentials

SPLIT_NAMES = {TRAIN: "train", EVAL: "validation", TEST: "test"}

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_SECONDS = 15


@dataclasses.dataclass(frozen=True)
class Built:
    """A dataset that was written.

    Attributes:
        folder: its folder, DATA_DIR/NAME/VERSION.
        examples: split in TFDS → number of images.
        num_unusable: number of images that are listed in `quarantine.jsonl` of the folder.
    """

    folder: str
    examples: dict[str, int]
    num_unusable: int


def build(
    source: Source,
    name: str,
    data_dir: str | None = None,
    *,
    version: str = "1.0.0",
    limit: QuarantineLimit | None = None,
    progress: Callable[[int], None] | None = None,
) -> Built:
    """Writes a source as a prepared dataset with the features image, label and image_source.

    The bytes of an image are stored unchanged if `images.decode` reads them, else as a PNG of its
    pixels. The order is that of the source; eval becomes the split "validation".

    Args:
        source: an open source.
        name: name of the dataset, of small letters, digits and underscores.
        data_dir: the folder of prepared datasets; None for the default of TFDS.
        version: version of the dataset.
        limit: how many images may be unusable; None for any number.
        progress: called now and then with the number of images read so far.

    Raises:
        ValueError: the name or version has another form or exists, no training image is usable, or
            too many images are not.
    """
    tfds = tfds_source.import_tfds()
    data_dir = os.path.expanduser(data_dir or tfds.core.constants.DATA_DIR)
    folder = _require_new(tfds, name, version, data_dir)
    _require_lines(source.class_names)
    examples = _Examples(source, progress or (lambda count: None))
    builder = _make_builder(tfds, source, name, version, data_dir, examples)
    part = os.path.join(data_dir, storage.partial_name(f"{name}-quarantine.jsonl"))
    storage.make_folder(data_dir)
    check = _Check(source, examples, part, limit)
    examples.finished = check
    try:
        tfds.disable_progress_bar()
        with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as unused:
            builder.download_and_prepare(file_format="tfrecord", download_dir=unused)
        storage.rename_file(part, os.path.join(folder, validation.FILE_NAME))
    finally:
        storage.remove_file(part)
    _require_exact(builder.info.splits, examples.counts)
    return Built(folder, dict(examples.counts), len(examples.lines))


class _Examples:
    """Reads the usable images of a source as examples of TFDS.

    Attributes:
        counts: split in TFDS → number of usable images.
        lines: lines of `quarantine.jsonl`.
        finished: called after the last image, before TFDS completes the dataset.
    """

    def __init__(self, source: Source, progress: Callable[[int], None]):
        self._source, self._progress = source, progress
        self._num_read = 0
        self._left = len(source.splits)
        self.counts: Counter[str] = Counter({SPLIT_NAMES[split]: 0 for split in source.splits})
        self.lines: list[str] = []
        self.finished: Callable[[], None] = lambda: None

    def generate(self, split: str) -> Iterator[tuple[int, dict]]:
        """Yields (position, example) of each usable image of a split, in the source's order."""
        for item in self._source.shards_of(split):
            for record in self._source.read(item):
                self._num_read += 1
                try:
                    checked = validation.check_record(record)
                except images.UnusableImageError as error:
                    self.lines.append(validation.to_line(record, split, str(error)))
                    continue
                yield self.counts[SPLIT_NAMES[split]], self._to_example(checked)
                self.counts[SPLIT_NAMES[split]] += 1
            self._progress(self._num_read)
        self._left -= 1
        if not self._left:
            self.finished()

    def _to_example(self, record: ImageRecord) -> dict:
        """The path is relative to the folder of the source, which others do not have."""
        root = getattr(self._source.reader, "root", "")
        inside = root and record.source.startswith(os.path.join(root, ""))
        path = os.path.relpath(record.source, root) if inside else record.source
        return {
            "image": record.encoded,
            "label": record.label,
            PATH: path.encode("utf-8", "surrogateescape"),
        }


class _Check:
    """Writes `quarantine.jsonl`, and fails before the dataset is complete if too little is usable.

    Args:
        source, examples: what is written.
        path: path of the quarantine file.
        limit: how many images may be unusable.
    """

    def __init__(self, source, examples: _Examples, path: str, limit: QuarantineLimit | None):
        self._source, self._examples, self._path, self._limit = source, examples, path, limit

    def __call__(self) -> None:
        counts = self._examples.counts
        lines = sorted(self._examples.lines)
        storage.write_text(self._path, "".join(f"{line}\n" for line in lines))
        usable = {split: counts[SPLIT_NAMES[split]] for split in self._source.splits}
        require_training_images(self._source.spec, usable, self._path, is_kept=False)
        if self._limit:
            self._limit.require(self._path, counts.total(), is_kept=False)


def _make_builder(tfds, source: Source, name: str, version: str, data_dir: str, examples):
    """An `AdhocBuilder`, with the supervised keys that it lacks."""
    label = tfds.features.ClassLabel(names=list(source.class_names))
    kinds = {"image": tfds.features.Image(), "label": label, PATH: tfds.features.Text()}
    supervised_keys = ("image", "label")

    class SourceBuilder(tfds.dataset_builders.AdhocBuilder, skip_registration=True):
        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                description=f"Images of {source.name}, written by mixer data build.",
                features=tfds.features.FeaturesDict(kinds),
                supervised_keys=supervised_keys,
                disable_shuffling=True,
            )

    return SourceBuilder(
        name=name,
        version=version,
        features=None,
        split_datasets={SPLIT_NAMES[split]: examples.generate(split) for split in source.splits},
        data_dir=data_dir,
    )


def _require_new(tfds, name: str, version: str, data_dir: str) -> str:
    """Returns the folder of the dataset to write."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            "the name of a TFDS dataset must have small letters, digits and underscores only, and "
            f"start with a letter; got {name!r}. Use {_suggest_name(name)!r}."
        )
    if not _VERSION.fullmatch(version):
        raise ValueError(f"a version must be three numbers such as 1.0.0; got {version!r}.")
    if name in tfds.list_builders(with_community_datasets=False):
        raise ValueError(
            f"the name must not be that of a dataset of TFDS, which tfds.load would read instead; "
            f"got {name!r}. Use a name such as {'my_' + name!r}."
        )
    folder = os.path.join(data_dir, name, version)
    if storage.exists(folder):
        raise ValueError(
            f"{folder} must not exist yet. Remove it, or choose another --name or --version."
        )
    return folder


def _suggest_name(name: str) -> str:
    found = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return found if _NAME.fullmatch(found) else f"images_{found}".rstrip("_")


def _require_lines(class_names: tuple[str, ...]) -> None:
    """TFDS stores class names as lines of a file."""
    for name in class_names:
        if not name.strip() or name.splitlines() != [name] or name != name.strip():
            raise ValueError(
                "TFDS stores each class name as a line, without spaces around it; got "
                f"{name!r}. Rename the class."
            )


def _require_exact(splits, counts: Mapping[str, int]) -> None:
    found = {name: splits[name].num_examples for name in splits if splits[name].num_examples}
    expected = {name: count for name, count in counts.items() if count}
    if found != expected:
        raise RuntimeError(
            f"every usable image must be in the dataset; it has {found}, expected {expected}. "
            "Remove the folder and run the command again."
        )


def prepare(
    name: str,
    data_dir: str | None = None,
    *,
    download: bool = False,
    manual_dir: str | None = None,
    beam_options: str = "",
) -> Built:
    """Prepares a dataset with the builder that TFDS has for it.

    Args:
        name: NAME or NAME/CONFIG in TFDS.
        data_dir: the folder of prepared datasets; None for the default of TFDS.
        download: whether TFDS may download files.
        manual_dir: folder of files that the user has downloaded; None for that of TFDS,
            DATA_DIR/downloads/manual.
        beam_options: options for Apache Beam, for the builders that use it, such as
            "--runner=DirectRunner --direct_num_workers=2".

    Raises:
        ValueError: TFDS does not have the dataset, files are missing, or it needs no `manual_dir`.
        ConnectionError: the files cannot be downloaded.
    """
    known = tfds_metadata.read(name, data_dir)
    if manual_dir and not known.is_manual:
        raise ValueError(
            f"--manual-dir must be given for a dataset whose files are downloaded by hand; {name} "
            "needs none. Leave it out."
        )
    if known.prepared:
        return Built(known.prepared, known.examples, 0)
    tfds = tfds_source.import_tfds()
    builder = tfds_metadata.open_builder(name, data_dir)
    root = os.path.expanduser(data_dir or tfds.core.constants.DATA_DIR)
    manual = os.path.expanduser(manual_dir or os.path.join(root, "downloads", "manual"))
    _require_files(name, known, download, manual)
    config = tfds.download.DownloadConfig(
        manual_dir=manual if known.is_manual else None,
        beam_options=_parse_beam_options(beam_options),
        try_download_gcs=False,
    )
    _run_builder(tfds, builder, config, name)
    splits = builder.info.splits
    return Built(str(builder.data_dir), {key: splits[key].num_examples for key in splits}, 0)


def _run_builder(tfds, builder, config, name: str) -> None:
    """Downloads and prepares; every exception becomes one clear error."""
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # Bars are shown on stderr.
            builder.download_and_prepare(download_config=config, file_format="tfrecord")
    except Exception as error:  # TFDS and the builders raise exceptions of many kinds.
        reason = without_credentials(" ".join(str(error).split())[:300])
        raise RuntimeError(
            f"TFDS must be able to prepare {name}; it could not: {type(error).__name__}: {reason}"
        ) from error


def _require_files(name: str, known, download: bool, manual: str) -> None:
    if known.is_manual and not (storage.is_folder(manual) and storage.list_names(manual)):
        raise ValueError(
            f"{name} needs files that must be downloaded by hand; {manual} has none. TFDS says: "
            f"{known.manual} Or name their folder: --manual-dir=DIR."
        )
    if not known.urls:
        return
    if not download:
        size = f" {known.download_bytes / 1e6:,.0f} MB" if known.download_bytes else ""
        raise ValueError(
            f"{name} is not prepared, and TFDS must download its files first:{size} at most, such "
            f"as {known.urls[0]}. Add --download to allow that."
        )
    if not known.is_manual:
        _require_reachable(name, known.urls[0])


def _require_reachable(name: str, url: str) -> None:
    """Fails within seconds without a network, where TFDS would retry for minutes."""
    import requests

    if not url.startswith("http"):
        return
    try:
        requests.head(url, timeout=_SECONDS, allow_redirects=True)
    except requests.RequestException as error:
        raise ConnectionError(
            f"{url} must be reachable to download {name}; it is not: {_reason(error)}. Check the "
            "network and its proxy (HTTPS_PROXY), or prepare the dataset on another machine and "
            "copy its folder."
        ) from None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[-120:] if len(text) > 120 else text


def _parse_beam_options(text: str):
    """`PipelineOptions`, which TFDS imports; None without options."""
    if not text:
        return None
    from tensorflow_datasets.core.utils.lazy_imports_utils import apache_beam

    return apache_beam.options.pipeline_options.PipelineOptions(flags=shlex.split(text))
