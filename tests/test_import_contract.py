# SPDX-License-Identifier: Apache-2.0
"""The arrow of the house: kubeflow -> pipeline -> components -> mixer_tf; nothing points back."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
TFX_AND_BEAM = {"tfx", "apache_beam"}
FORBIDDEN = {
    "mixer_tf": {*TFX_AND_BEAM, "components", "pipeline", "kubeflow"},
    "components": {"pipeline", "kubeflow"},
    "pipeline": {"kubeflow"},
}
RUN_FN = pathlib.Path("mixer_tf/training/run_fn.py")  # the Trainer's entry point


def source_files(folder: str) -> list[pathlib.Path]:
    return sorted(path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py"))


def imported_packages(path: pathlib.Path) -> set[str]:
    """Top-level packages that a file imports anywhere, inside functions too."""
    packages = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            packages |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            packages.add(node.module.split(".")[0])
    return packages


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_arrows_run_one_way(folder):
    files = source_files(folder)
    assert files
    for path in files:
        allowed = {"tfx"} if path == RUN_FN else set()
        wrong = imported_packages(path) & (FORBIDDEN[folder] - allowed)
        assert not wrong, f"{path} must not import {', '.join(sorted(wrong))}"


def test_transforms_know_beam_but_not_tfx():
    for path in source_files("components"):
        if path.name == "transforms.py":
            assert "tfx" not in imported_packages(path), f"{path} must not import tfx"


def test_no_package_is_called_kubeflow():
    """It would shadow the SDK of that name."""
    assert not (ROOT / "kubeflow" / "__init__.py").exists()


def run(code: str) -> None:
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]


def test_names_and_costs_of_models_need_no_tensorflow():
    run(
        "import sys, mixer_tf\n"
        "assert mixer_tf.__version__ and 'MixerB16' in dir(mixer_tf)\n"
        "assert 'mixer_b16' in mixer_tf.list_models()\n"
        "from mixer_tf.models import registry\n"
        "assert registry.describe('mixer_b16').parameters == 59_880_472\n"
        "assert 'tensorflow' not in sys.modules, 'importing mixer_tf imports tensorflow'\n"
    )


def test_library_imports_where_tfx_and_beam_are_not_installed():
    modules = [
        ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        for path in source_files("mixer_tf")
        if path != RUN_FN and path.name != "__main__.py"  # which runs the command line
    ]
    run(
        "import importlib, sys\n"
        f"for name in {sorted(TFX_AND_BEAM)}: sys.modules[name] = None  # import raises\n"
        f"for name in {modules}: importlib.import_module(name)\n"
    )


def test_an_unknown_name_is_an_attribute_error():
    import mixer_tf

    with pytest.raises(AttributeError, match="'mixer_tf' has no attribute 'MixerX99'"):
        _ = mixer_tf.MixerX99
