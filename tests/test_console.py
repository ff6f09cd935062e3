# SPDX-License-Identifier: Apache-2.0
"""Commands that a user can paste."""

import os
import sys

from mixer_tf import console

FOLDER = os.path.dirname(sys.executable)


def test_a_command_is_a_path_until_the_environment_is_activated(monkeypatch):
    monkeypatch.chdir(os.path.dirname(os.path.dirname(FOLDER)))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    path = os.path.join(os.path.basename(os.path.dirname(FOLDER)), "bin", "mixer")
    assert console.command_line("mixer", "predict", "my model") == f"{path} predict 'my model'"
    monkeypatch.setenv("PATH", f"{FOLDER}:/usr/bin:/bin")
    assert console.command_line("mixer", "predict", "my model") == "mixer predict 'my model'"
