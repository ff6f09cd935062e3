# SPDX-License-Identifier: Apache-2.0
"""Image files with labels, local or in a bucket: listing, signatures, and reading in chunks."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Iterator, Sequence

from mixer_tf import images, storage
from mixer_tf.features import ImageRecord
from mixer_tf.images import signatures
from mixer_tf.messages import path_without_credentials, without_credentials

# Larger than any photograph, smaller than the 2 GB limit of a tf.Example.
MAX_BYTES = 256 * 2**20
_CHUNK = 64
_EXTENSIONS = frozenset(
    [
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp"),
        *(".tif", ".tiff", ".avif", ".heic", ".heif", ".tga", ".ico", ".mpo", ".apng", ".dib"),
        *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm"),
    ]
)
# Files of any other extension are recognized by their first bytes. Those of these are not opened:
# there may be one beside each image, partial downloads and backups start like an image, and a raw
# photograph starts like a TIFF of the size of a thumbnail.
_NO_IMAGES = frozenset(
    [
        *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html"),
        *(".db", ".ini", ".lnk", ".url", ".log", ".py", ".ipynb", ".sh", ".js", ".css", ".sqlite"),
        *(".zip", ".gz", ".tar", ".tgz", ".rar", ".7z", ".npy", ".npz", ".mat", ".pkl", ".h5"),
        *(".mp4", ".mov", ".avi", ".mkv", ".webm", ".mp3", ".wav", ".pdf", ".svg", ".psd"),
        *(
            ".part",
            ".partial",
            ".tmp",
            ".temp",
            ".crdownload",
            ".download",
            ".bak",
            ".orig",
            ".old",
        ),
        *(".dng", ".nef", ".nrw", ".cr2", ".cr3", ".arw", ".sr2", ".orf", ".rw2", ".pef", ".raw"),
        *(".raf", ".srw", ".3fr", ".erf", ".kdc", ".dcr", ".iiq", ".svs", ".ndpi", ".scn"),
        *(".tfrecord", ".tfrecords", ".xmp", ".aae", ".md5", ".sha256"),
    ]
)


@dataclasses.dataclass(frozen=True)
class FileChunk:
    """A few dozen image files: a work item of `FileReader`.

    Attributes:
        paths: relative to the reader's root, or absolute.
        labels: for each path the index into the class names, or None.
        problem: why none of them can be used, or "".
    """

    paths: tuple[str, ...]
    labels: tuple[int | None, ...]
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class FileReader:
    """Reads chunks of files; small enough to be sent to every worker.

    Attributes:
        root: the folder that the paths are relative to.
        class_names: one name for each label.
    """

    root: str
    class_names: tuple[str, ...]

    def __call__(self, chunk: FileChunk) -> Iterator[ImageRecord]:
        for path, label in zip(chunk.paths, chunk.labels, strict=True):
            class_name = "" if label is None else self.class_names[label]
            full_path = storage.resolve(self.root, path)
            if chunk.problem:
                yield _unreadable(full_path, label, class_name, chunk.problem)
            else:
                yield read_image(full_path, label, class_name)

    def image_ids(self, chunk: FileChunk) -> Iterator[str]:
        """Yields the paths of the images as their records have them; no file is read."""
        for path in chunk.paths:
            yield path_without_credentials(storage.resolve(self.root, path))


def read_image(path: str, label: int | None, class_name: str) -> ImageRecord:
    """Reads one file; an error becomes the record's `problem`."""
    try:
        encoded = read_bytes(path)
    except FileNotFoundError:
        return _unreadable(path, label, class_name, "file not found")
    except OSError as error:
        shown = path_without_credentials(path)  # TensorFlow names the path in its message
        text = without_credentials(str(error.strerror or error).replace(path, shown))
        reason = f"cannot be read: {text}"
        return _unreadable(path, label, class_name, reason)
    return make_record(encoded, label, class_name, path)


def make_record(encoded: bytes, label: int | None, class_name: str, source: str) -> ImageRecord:
    """Makes the record of one image from its bytes; only the header is read.

    If `source` is a URL, its user name, password and query are not part of the record.
    """
    source = path_without_credentials(source)
    try:
        header = images.read_header(encoded)
    except images.UnusableImageError as error:
        return ImageRecord(encoded, "", label, class_name, source, 0, 0, str(error))
    return ImageRecord(
        encoded, header.format, label, class_name, source, header.width, header.height
    )


def _unreadable(path: str, label: int | None, class_name: str, reason: str) -> ImageRecord:
    return ImageRecord(b"", "", label, class_name, path_without_credentials(path), 0, 0, reason)


def make_chunks(files: Sequence[tuple[str, int | None]], problem: str = "") -> list[FileChunk]:
    """Groups (path, label) pairs into chunks, so that a million files make a short list."""
    chunks = (files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK))
    return [FileChunk(*zip(*chunk, strict=True), problem=problem) for chunk in chunks]


def file_signature(path: str) -> str:
    """Returns path, size and modification time as a line of text; size -1 for a missing file."""
    try:
        if storage.is_remote(path):
            found = storage.gfile().stat(path)
            return f"{path}\t{found.length}\t{found.mtime_nsec}"
        found = os.stat(path)
    except Exception:  # gfile raises exceptions of its own.
        return f"{path}\t-1"
    return f"{path}\t{found.st_size}\t{found.st_mtime_ns}"


def tree_signature(path: str) -> str:
    """Returns the signatures of a file, or of all files below a folder of this machine."""
    if not os.path.isdir(path):
        return file_signature(path)
    found = (os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
    return "\n".join(map(file_signature, sorted(found)))


def list_folder(folder: str) -> tuple[list[str], list[str]]:
    """Returns the sorted names of subfolders and files; hidden ones are ignored.

    Raises:
        OSError: the folder cannot be listed.
    """
    if storage.is_remote(folder):
        _, folders, files = next(iter(storage.gfile().walk(folder)), ("", [], []))
        found = [(name.rstrip("/"), True) for name in folders] + [(name, False) for name in files]
    else:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir()) for entry in entries]
    found = sorted(pair for pair in found if not pair[0].startswith("."))
    folders = [name for name, is_directory in found if is_directory]
    return folders, [name for name, is_directory in found if not is_directory]


def is_image_name(name: str) -> bool:
    """Whether the extension of a file name is that of an image format."""
    return os.path.splitext(name)[1].lower() in _EXTENSIONS


def has_unknown_suffix(name: str) -> bool:
    """Whether a file name says nothing about its content, so that its first bytes must be read."""
    suffix = os.path.splitext(name)[1].lower()
    return suffix not in _EXTENSIONS and suffix not in _NO_IMAGES and not name.endswith("~")


def starts_like_image(path: str) -> bool:
    """Whether the first bytes of a file are those of an image; False if it cannot be read."""
    try:
        # A named pipe would block for ever.
        if not storage.is_remote(path) and not os.path.isfile(path):
            return False
        return signatures.is_image(storage.read_bytes(path, signatures.SIZE))
    except OSError:
        return False


def read_bytes(path: str) -> bytes:
    """Returns the bytes of the file of an image.

    Raises:
        OSError: it cannot be read, is not a regular file, or is larger than any image.
    """
    # A named pipe would block for ever, and a device has no end.
    if not storage.is_remote(path) and not stat.S_ISREG(mode := os.stat(path).st_mode):
        raise OSError("is a directory" if stat.S_ISDIR(mode) else "not a regular file")
    size = storage.file_size(path)
    if size > MAX_BYTES:
        raise OSError(f"{size / 2**20:,.0f} MB; at most {MAX_BYTES // 2**20} MB")
    return storage.read_bytes(path)
