# SPDX-License-Identifier: Apache-2.0
"""Starts the commands of steps as processes that have TFX imported already: python step_server.py

Each line of the standard input is {"command", "folder", "environment", "log"} as JSON; the answer
is a line with the exit code. A process that imports TFX itself needs 10 s of CPU time more.
"""

from __future__ import annotations

import json
import os
import runpy
import sys


def main() -> None:
    import_libraries()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    answers.write("ready\n")
    for line in sys.stdin:
        task = json.loads(line)
        process = os.fork()
        if not process:
            run(task)
        _, status = os.waitpid(process, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")


def import_libraries() -> None:
    """What most of the steps import; none of it starts a thread."""
    import tensorflow_data_validation  # noqa: F401
    import tensorflow_model_analysis  # noqa: F401
    from tfx.components.evaluator import executor  # noqa: F401
    from tfx.orchestration.kubeflow import container_entrypoint  # noqa: F401
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor  # noqa: F401


def run(task: dict) -> None:
    """Becomes the process of a step: `[timeout SECONDS] python -m MODULE …`."""
    words = task["command"]
    words = words[2:] if words[0] == "timeout" else words
    python, option, module, *arguments = words
    assert (python, option) == ("python", "-m"), words
    os.environ.clear()
    os.environ.update(task["environment"])
    os.chdir(task["folder"])
    log = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = [module, *arguments]
    code = 1
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
