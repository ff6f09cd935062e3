# SPDX-License-Identifier: Apache-2.0
"""Reads the images of a VTAB task from a dataset that TFDS has prepared on this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from mixer_tf.datasets import tfds_metadata, validation
from mixer_tf.datasets.files import make_record
from mixer_tf.datasets.sources import tfds_examples
from mixer_tf.evaluation.vtab import tasks
from mixer_tf.evaluation.vtab.tasks import VtabTask
from mixer_tf.features import ImageRecord
from mixer_tf.images import UnusableImageError
from mixer_tf.images.scaling import scale_binary

_IMAGE, _ID = "image", "tfds_id"


class MissingDataError(ValueError):
    """The dataset of a task is not prepared; the message says how to get it."""


@dataclasses.dataclass(frozen=True)
class TaskReader:
    """The dataset of a task, opened.

    Attributes:
        task: the task.
        version: name and version of the dataset, such as "dtd/3.0.1".
        class_names: names of the classes in label order.
    """

    task: VtabTask
    version: str
    class_names: tuple[str, ...]
    _builder: object = dataclasses.field(repr=False)

    @property
    def sizes(self) -> dict[str, int]:
        """Split in TFDS → number of its examples."""
        return {name: split.num_examples for name, split in self._builder.info.splits.items()}

    def count(self, expression: str) -> int:
        """Returns the number of images of a split expression of the task."""
        from tensorflow_datasets.core.splits import ReadInstruction

        infos = self._builder.info.splits
        parts = self.split(expression)
        try:
            ranges = ReadInstruction.from_spec(parts).to_absolute(infos)
        except (AssertionError, ValueError) as error:
            raise ValueError(f"{self.version} must have the images {parts}: {error}") from None
        ends = [infos[r.splitname].num_examples if r.to is None else r.to for r in ranges]
        return sum(end - (r.from_ or 0) for r, end in zip(ranges, ends, strict=True))

    def split(self, expression: str) -> str:
        """Returns a split expression of the task as TFDS writes it."""
        return tasks.resolve_split(expression, self.sizes)

    def read(self, expression: str) -> Iterator[ImageRecord]:
        """Yields the images of a split in the order of the files, with the ids of TFDS.

        Raises:
            ValueError: an image cannot be used, or has no label: the benchmark needs all of them.
        """
        import tensorflow_datasets as tfds

        decoders = tfds.decode.PartialDecoding(
            {**self.task.features, _IMAGE: True}, decoders={_IMAGE: tfds.decode.SkipDecoding()}
        )
        config = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1, add_tfds_id=True)
        dataset = self._builder.as_dataset(
            split=self.split(expression), decoders=decoders, read_config=config
        )
        return map(self._record, dataset.as_numpy_iterator())

    def _record(self, example: dict) -> ImageRecord:
        image_id = example[_ID].decode()
        encoded = example[_IMAGE]
        try:
            label = self.task.rule(example)
            encoded = scale_binary(encoded) if self.task.is_binary else encoded
        except ValueError as error:
            raise ValueError(f"{self.version}: {image_id}: {error}") from None
        if not 0 <= label < len(self.class_names):
            raise ValueError(
                f"a label of {self.task.name} must be from 0 to {len(self.class_names) - 1}; "
                f"{image_id} of {self.version} has {label}. Prepare the dataset again."
            )
        record = make_record(encoded, label, self.class_names[label], image_id)
        try:
            return validation.check_record(record)
        except UnusableImageError as error:
            raise ValueError(
                f"every image of a benchmark must be usable; {image_id} of {self.version} is not: "
                f"{error}. Prepare the dataset again."
            ) from None


def open_task(task: VtabTask, data_dir: str | None = None) -> TaskReader:
    """Opens the dataset of a task.

    Args:
        task: the task.
        data_dir: the folder of prepared datasets; None for the default of TFDS.

    Raises:
        MissingDataError: the dataset is not prepared.
        ValueError: TFDS is not installed, or the prepared dataset is corrupt.
    """
    folder = tfds_metadata.find_prepared(task.dataset, data_dir)
    if folder is None:
        raise MissingDataError(_how_to_get(task, data_dir))
    builder = tfds_examples.open_builder(folder)
    names = task.classes or tuple(builder.info.features["label"].names)
    return TaskReader(task, f"{task.dataset}/{builder.info.version}", names, builder)


def _how_to_get(task: VtabTask, data_dir: str | None) -> str:
    spec = task.dataset.replace("/", ":")
    option = f" --data-dir={data_dir}" if data_dir else ""
    command = f"mixer data build tfds:{spec} --download{option}"
    manual = tfds_metadata.read(task.dataset, data_dir).manual
    before = f"TFDS asks for files first: {manual} Then run" if manual else "Run"
    return f"{task.dataset} is not prepared. {before}: {command}"
