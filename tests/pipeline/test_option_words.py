# SPDX-License-Identifier: Apache-2.0
"""The options of a configuration give the same configuration again."""

import dataclasses

import click
import pytest
from click.testing import CliRunner

from mixer_tf.reports import recipe_changes
from pipeline import options
from pipeline.configs import Fingerprints, PipelineConfig
from pipeline.option_words import _FLAGS, _SWITCHES, _VALUES, option_words


def _config(*arguments: str):
    """The configuration that the options of a command line stand for."""

    @click.command()
    @options.pipeline_options
    def command(**values):
        found.append(options.make_config(values, root="/r"))

    found = []
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return found[0]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--deduplicate=mark", "--deduplicate-train", "--duplicate-threshold=0.9"],
        ["--keep-versions=0", "--min-accuracy=0.5", "--max-accuracy-drop=0.2", "--allow-drift"],
        ["--exclude=/removed.txt", "--keep-duplicates=/keep.txt", "--max-quarantined=1%"],
        ["--downstream-test-sets=folder:/my tests", "--downstream-test-sets=tfds:cifar10"],
        ["--tune", "--grid=training.epochs=1,2", "--grid=data.mixup=0,0.2", "--random=3"],
        ["--predict=images:/new", "--infra-validator=docker", "--strategy=mirrored"],
        ["--warm-start", "--no-cache", "--no-report", "--profile=10:20", "--name=my-pets"],
        ["--checkpoint-minutes=0.5", "--checkpoint-steps=100", "--keep-checkpoints=3"],
        ["--few-shot=1,5"],
        ["--max-unreadable=0.5", "--max-near-constant=0", "--max-skew=1", "--max-class-skew=0.7"],
        ["--recipe=photos", "--set", "training.epochs=7", "--data-dir=/tfds"],
    ],
)
def test_options_come_back(arguments):
    given = _config("--source=folder:/data/pets", *arguments)
    recipe = recipe_changes.option_words(recipe_changes.describe(given.recipe))
    words = option_words(given)
    assert _config("--source=folder:/data/pets", *recipe, *words) == given
    assert words == [] if not arguments else words or "--recipe=photos" in arguments


def test_every_field_of_a_configuration_has_an_option_or_a_reason():
    """A new field must be typed again, or be listed here."""
    typed = {*_VALUES, *_FLAGS, *_SWITCHES}
    typed |= {
        "downstream_test_sets",
        "keep_versions",
        "few_shot",
        "search",
        "name",
        "statistics_limits",
    }
    apart = {"source", "recipe", "root", "fingerprints", "beam_args"}
    of_the_runner = {"history", "fingerprint_data", "serving_dir", "deployment"}
    names = {field.name for field in dataclasses.fields(PipelineConfig)}
    assert names == typed | apart | of_the_runner


def test_the_digest_that_the_local_runner_adds_is_no_option():
    given = _config("--source=folder:/data/pets")
    prepared = dataclasses.replace(
        given, name="pets-14a21a63", fingerprints=Fingerprints(trainer="ab")
    )
    assert option_words(prepared) == []
    assert option_words(dataclasses.replace(prepared, name="dogs-14a21a63")) == ["--name=dogs"]


def test_options_of_beam_are_not_stored():
    assert option_words(_config("--beam=--password=secret")) == []
