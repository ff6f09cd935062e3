# SPDX-License-Identifier: Apache-2.0
"""What the installed TFDS package and a folder of prepared datasets know about a dataset.

Nothing is downloaded. TFDS states the number of images of a dataset only once it is prepared, and
the license of few.
"""

from __future__ import annotations

import dataclasses
import os

from mixer_tf.datasets.sources import tfds as tfds_source
from mixer_tf.datasets.sources import tfds_examples


@dataclasses.dataclass(frozen=True)
class Metadata:
    """One dataset.

    Attributes:
        version: the version that the package prepares.
        classes: number of values of the label; None if the label is not a feature of the dataset.
        download_bytes: total size of the files that TFDS downloads for all configurations; 0 if it
            downloads none.
        urls: addresses of these files.
        manual: how to get the files that TFDS does not download, or "".
        license: as TFDS states it, or "".
        homepage: address of a page about the dataset.
        prepared: folder of the newest prepared version; None if there is none.
        examples: split → number of images, of the prepared version; {} if there is none.
    """

    version: str
    classes: int | None
    download_bytes: int
    urls: tuple[str, ...]
    manual: str
    license: str
    homepage: str
    prepared: str | None
    examples: dict[str, int]

    @property
    def is_manual(self) -> bool:
        """Whether the user must download files."""
        return bool(self.manual)


def read(name: str, data_dir: str | None = None) -> Metadata:
    """Returns what is known about NAME or NAME/CONFIG.

    Args:
        name: name in TFDS.
        data_dir: the folder of prepared datasets; None for the default of TFDS.

    Raises:
        ValueError: the package does not have the dataset, or is not installed.
    """
    builder = open_builder(name, data_dir)
    prepared = find_prepared(name, data_dir)
    if prepared is None and builder.builder_config and "/" not in name:
        prepared = find_prepared(f"{name}/{builder.builder_config.name}", data_dir)
    infos = builder.url_infos or {}
    license_ = builder.info.redistribution_info.license if builder.info.redistribution_info else ""
    return Metadata(
        version=str(builder.version),
        classes=_num_classes(builder.info),
        download_bytes=int(sum(info.size or 0 for info in infos.values())),
        urls=tuple(infos),
        manual=" ".join((builder.MANUAL_DOWNLOAD_INSTRUCTIONS or "").split()),
        license=license_ or "",
        homepage=builder.info.homepage or "",
        prepared=prepared,
        examples=_examples(prepared) if prepared else {},
    )


def open_builder(name: str, data_dir: str | None):
    """Returns the builder of NAME or NAME/CONFIG, which may not be prepared.

    Raises:
        ValueError: the package does not have the dataset, or is not installed.
    """
    tfds = tfds_source.import_tfds()
    base, _, config = name.partition("/")
    try:
        builder_class = tfds.builder_cls(base)
        return builder_class(config=config or None, data_dir=_expanded(data_dir))
    except (tfds.core.registered.DatasetNotFoundError, ValueError) as error:
        text = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"tfds:{name.replace('/', ':')} must be a dataset of TFDS {tfds.__version__}; {text} "
            f"See https://www.tensorflow.org/datasets/catalog/overview."
        ) from None


def find_prepared(name: str, data_dir: str | None) -> str | None:
    """Returns the folder of the newest prepared version of a dataset, or None."""
    root = _expanded(data_dir) or tfds_source.import_tfds().core.constants.DATA_DIR
    return tfds_source.newest_version(os.path.join(os.path.expanduser(root), *name.split("/")))


def _examples(folder: str) -> dict[str, int]:
    splits = tfds_examples.open_builder(folder).info.splits
    return {name: split.num_examples for name, split in splits.items()}


def _num_classes(info) -> int | None:
    supervised = (info.supervised_keys or (None, "label"))[1]
    names = info.features.keys()
    feature = info.features[supervised] if supervised in names else None
    return getattr(feature, "num_classes", None)


def _expanded(data_dir: str | None) -> str | None:
    return os.path.expanduser(data_dir) if data_dir else None
