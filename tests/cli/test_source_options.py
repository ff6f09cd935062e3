# SPDX-License-Identifier: Apache-2.0
import click
import pytest
from click.testing import CliRunner

from mixer_tf.cli import options
from pipeline.options import make_config, pipeline_options


@click.command()
@options.source_options
def show(source, data_dir):
    click.echo(source)


@click.command()
@pipeline_options
def show_config(**values):
    click.echo(make_config(values, "/root").source)


@pytest.mark.parametrize("command", [show, show_config])
@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--source=csv:a.csv", "--columns=photo,My Species"], "csv+photo,My Species:a.csv"),
        (["--columns", "2,3", "--source", "csv:C:/a.csv"], "csv+2,3:C:/a.csv"),
        (["--source=csv:a.csv"], "csv:a.csv"),
        (["--source=tfds:a:b", "--splits=eval=train[9%:]"], "tfds+eval=train[9%:]:a:b"),
        (["--source=csv+1,2:a.csv"], "csv+1,2:a.csv"),
    ],
)
def test_stated_columns_and_splits_become_part_of_the_source(command, arguments, shown):
    result = CliRunner().invoke(command, arguments)
    assert (result.exit_code, result.output.strip()) == (0, shown)


@pytest.mark.parametrize("command", [show, show_config])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source=folder:a", "--columns=1,2"], "--columns applies to csv:PATH only"),
        (["--source=csv:a.csv", "--columns=a:b,c"], "without a colon; got 'a:b,c'"),
        (["--source=csv:a.csv", "--columns="], "names or numbers"),
        (["--source=csv:a.csv", "--splits=eval=train"], "--splits applies to tfds:NAME"),
        (["--source=tfds:a", "--splits=val=train"], "must be SPLIT=TFDS_SPLIT"),
    ],
)
def test_columns_and_splits_that_cannot_be_used_are_a_usage_error(command, arguments, message):
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert message in result.output
