# SPDX-License-Identifier: Apache-2.0
"""Prepared datasets with the feature specification of each builder of TFDS, and random values."""

import contextlib
import io

import pytest

from mixer_tf.datasets import tfds_metadata


def build(dataset: str, data_dir, splits: dict[str, list[dict]], **changes) -> None:
    """Writes a dataset as TFDS prepares it: real shards of the builder's real features.

    Args:
        dataset: NAME or NAME/CONFIG in TFDS.
        data_dir: the folder of prepared datasets.
        splits: split → for each example the values that are not random.
        **changes: random values are replaced by these in every example.
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.testing import mocking

    builder = tfds_metadata.open_builder(dataset, str(data_dir))
    features = builder.info.features

    def generate(given: list[dict], seed: int):
        fake = mocking.RandomFakeGenerator(features, len(given), constant_dynamic_shape=True)
        for index, values in enumerate(given):
            example = {**fake[1000 * seed + index], **changes}
            for key, value in values.items():
                nested = isinstance(value, dict)
                example[key] = {**example[key], **value} if nested else value
            yield index, example

    base, _, config = dataset.partition("/")
    options = {"config": config} if config else {}
    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):
        tfds.dataset_builders.AdhocBuilder(
            name=base,
            version=str(builder.version),
            features=features,
            split_datasets={
                name: generate(given, seed) for seed, (name, given) in enumerate(splits.items())
            },
            data_dir=str(data_dir),
            disable_shuffling=True,
            **options,
        ).download_and_prepare()


@pytest.fixture(scope="session", name="build")
def build_fixture():
    """The function `build(dataset, data_dir, splits, **changes)`."""
    return build
