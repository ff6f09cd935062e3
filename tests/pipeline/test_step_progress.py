# SPDX-License-Identifier: Apache-2.0
"""A line for each step as it ends; a failure names its step."""

import os

import pytest
from tfx.dsl.component.experimental.annotations import Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from pipeline.local import progress
from pipeline.local.step import Step, StepError


@component
def Greeter(word: Parameter[str]):
    if word == "fail":
        raise ValueError("the word must not be 'fail'")


def _run(tmp_path, word: str) -> dict[str, Step]:
    connection = metadata.sqlite_metadata_connection_config(os.path.join(tmp_path, "m.sqlite"))
    pipeline = Pipeline(
        pipeline_name="p",
        pipeline_root=str(tmp_path),
        components=[Greeter(word=word)],
        enable_cache=True,
        metadata_connection_config=connection,
    )
    with progress.show_steps(total=1) as steps:
        LocalDagRunner().run(pipeline)
    return steps


def test_second_run_is_shown_as_cached(tmp_path, capsys):
    assert not _run(tmp_path, "hello")["Greeter"].cached
    assert _run(tmp_path, "hello")["Greeter"].cached
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("[ 1/1] Greeter") and first.endswith(" s")
    assert second.endswith("cached")


def test_failing_step_is_named_and_its_message_kept(tmp_path):
    with pytest.raises(StepError) as caught:
        _run(tmp_path, "fail")
    assert caught.value.node_id == "Greeter"
    assert "must not be 'fail'" in str(caught.value.__cause__)
