# SPDX-License-Identifier: Apache-2.0
"""A line for each step as it ends; a failure names its step."""

import os
import time

import pytest
from tfx.dsl.component.experimental.annotations import Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from pipeline.local import progress
from pipeline.local.step import Step, StepError

_SECONDS = 0.5


@component
def Greeter(word: Parameter[str]):
    if word == "fail":
        raise ValueError("the word must not be 'fail'")
    time.sleep(_SECONDS)


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
    ran = _run(tmp_path, "hello")["Greeter"]
    assert not ran.cached and 0 < ran.overhead <= ran.seconds - _SECONDS + 0.01
    again = _run(tmp_path, "hello")["Greeter"]
    assert again.cached and again.overhead == again.seconds
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("[ 1/1] Greeter") and first.endswith(" s")
    assert second.endswith("cached")


def test_failing_step_is_named_and_its_message_kept(tmp_path):
    with pytest.raises(StepError) as caught:
        _run(tmp_path, "fail")
    assert caught.value.node_id == "Greeter"
    assert "must not be 'fail'" in str(caught.value.__cause__)
