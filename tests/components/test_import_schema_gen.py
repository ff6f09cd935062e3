# SPDX-License-Identifier: Apache-2.0
"""An edited schema file is read again; TFX's own component would keep the old one in its cache."""

import glob
import pathlib

from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from components.import_schema_gen import ImportSchemaGen
from pipeline.configs import SCHEMA_FILE


def _run(folder: pathlib.Path, schema_file: str, fingerprint: str) -> list[str]:
    """Runs a pipeline of this step alone, and returns every schema that it has written so far."""
    connection = metadata.sqlite_metadata_connection_config(str(folder / "metadata.sqlite"))
    LocalDagRunner().run(
        Pipeline(
            pipeline_name="schema",
            pipeline_root=str(folder),
            components=[ImportSchemaGen(schema_file=schema_file, fingerprint=fingerprint)],
            enable_cache=True,
            metadata_connection_config=connection,
        )
    )
    paths = sorted(glob.glob(str(folder / "ImportSchemaGen/schema/*/schema.pbtxt")))
    return [pathlib.Path(path).read_text() for path in paths]


def test_it_runs_once_for_each_fingerprint(tmp_path):
    schema = tmp_path / "schema.pbtxt"
    old = pathlib.Path(SCHEMA_FILE).read_text()
    new = old + "# edited\n"
    schema.write_text(old)
    assert _run(tmp_path, str(schema), "a") == [old]
    schema.write_text(new)
    assert _run(tmp_path, str(schema), "a") == [old]
    assert sorted(_run(tmp_path, str(schema), "b")) == sorted([old, new])
