# SPDX-License-Identifier: Apache-2.0
"""The shared options become a configuration from names alone: nothing is opened."""

import os

import click
import pytest
from click.testing import CliRunner

from mixer_tf.datasets.statistics_limits import StatisticsLimits
from mixer_tf.training.search_space import Search
from pipeline import options


def _parse(*arguments: str) -> dict:
    """The values of the shared options on a command line."""

    @click.command()
    @options.pipeline_options
    def command(**values):
        found.update(values)

    found = {}
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return found


def test_defaults_are_the_digits_with_their_recipe():
    config = options.make_config(_parse(), root="/r")
    assert (config.source, config.recipe.name, config.name) == ("digits", "digits", "digits")
    assert config.enable_cache and not config.beam_args


def test_sources_that_do_not_exist_give_a_name_and_a_recipe():
    values = _parse("--source=folder:/nowhere/My Pets", "--downstream-test-sets=tfds:unknown")
    config = options.make_config(values, root="gs://bucket/root")
    assert config.name == "my-pets"
    assert config.recipe.name == "photos"
    assert config.downstream_test_sets == ("tfds:unknown",)
    assert config.serving_path == "gs://bucket/root/serving"


def test_shorter_side_is_short_for_a_field_of_the_recipe():
    photos = ["--source=folder:/nowhere"]
    config = options.make_config(_parse(*photos, "--shorter-side=99"), root="/r")
    assert config.recipe.data.train_shorter_side == 99
    both = _parse(*photos, "--shorter-side=99", "--set", "data.train_shorter_side=77")
    assert options.make_config(both, root="/r").recipe.data.train_shorter_side == 77


def test_deduplication_is_set_by_its_options():
    config = options.make_config(_parse(), root="/r")
    assert (config.deduplicate, config.duplicate_threshold) == ("remove", 0.75)
    assert config.keep_duplicates is None
    values = _parse("--deduplicate=report", "--duplicate-threshold=0.9", "--deduplicate-train")
    config = options.make_config(values, root="/r")
    assert (config.deduplicate, config.duplicate_threshold) == ("report", 0.9)
    assert config.deduplicate_train
    config = options.make_config(_parse("--keep-duplicates=lists/keep.txt"), root="/r")
    assert config.keep_duplicates == os.path.abspath("lists/keep.txt")


def test_the_limit_of_unusable_images_is_a_number_or_a_share():
    assert options.make_config(_parse(), root="/r").max_quarantined is None
    config = options.make_config(_parse("--max-quarantined=1%"), root="/r")
    assert config.max_quarantined == "1%"
    with pytest.raises(ValueError, match="--max-quarantined must be a number .* got '0.01'"):
        options.make_config(_parse("--max-quarantined=0.01"), root="/r")


def test_thresholds_of_anomalies_are_set_by_the_options_of_mixer_data_stats():
    assert options.make_config(_parse(), root="/r").statistics_limits == StatisticsLimits()
    values = _parse("--max-unreadable=0.3", "--max-class-skew=1")
    config = options.make_config(values, root="/r")
    assert config.statistics_limits == StatisticsLimits(unreadable=0.3, class_skew=1)
    with pytest.raises(AssertionError, match="'--max-skew': 2.0 is not in the range 0<=x<=1"):
        _parse("--max-skew=2")


def test_options_of_a_deduplication_that_is_off_are_refused():
    values = _parse("--deduplicate=off", "--duplicate-threshold=0.9", "--deduplicate-train")
    message = "deduplicate_train, duplicate_threshold must not be given with deduplicate='off'"
    with pytest.raises(ValueError, match=message):
        options.make_config(values, root="/r")
    with pytest.raises(ValueError, match="keep_duplicates must not be given"):
        options.make_config(_parse("--deduplicate=off", "--keep-duplicates=keep.txt"), root="/r")


def test_a_list_of_images_to_exclude_has_an_absolute_path():
    assert options.make_config(_parse(), root="/r").exclude is None
    for given, expected in {
        "lists/removed.txt": os.path.abspath("lists/removed.txt"),
        "gs://bucket/removed.txt": "gs://bucket/removed.txt",
    }.items():
        assert options.make_config(_parse(f"--exclude={given}"), root="/r").exclude == expected


def test_a_search_has_a_grid_or_that_of_the_recipe():
    assert options.make_config(_parse(), root="/r").search is None
    assert options.make_config(_parse("--tune"), root="/r").search == Search()
    grid = "optimizer.learning_rate=1e-3..1e-1"
    given = _parse("--tune", f"--grid={grid}", "--grid=data.mixup=0,0.2", "--random=5")
    found = options.make_config(given, root="/r").search
    assert found == Search((grid, "data.mixup=0,0.2"), 5)


@pytest.mark.parametrize("option", ["--grid=data.mixup=0,0.2", "--random=5"])
def test_options_of_a_search_without_a_search_are_refused(option):
    name = option.partition("=")[0]
    with pytest.raises(ValueError, match=f"{name} must be given with --tune only; add --tune"):
        options.make_config(_parse(option), root="/r")


def test_beam_options_are_split_as_a_shell_would():
    values = _parse("--beam=--runner=DirectRunner --job_name='a b'", "--beam=--streaming")
    config = options.make_config(values, root="/r")
    assert config.beam_args == ("--runner=DirectRunner", "--job_name=a b", "--streaming")


def test_a_wrong_recipe_is_refused_before_any_source_is_opened():
    with pytest.raises(ValueError, match="no recipe .* Did you mean photos?"):
        options.make_config(_parse("--source=folder:/nowhere", "--recipe=photo"), root="/r")
