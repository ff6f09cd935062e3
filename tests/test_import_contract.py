# SPDX-License-Identifier: Apache-2.0
"""Dependencies point one way: kubeflow -> pipeline -> components -> mixer_tf, without a cycle."""

import ast
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from graphs import find_cycle, longest_chain

from pipeline.import_graph import PACKAGES, ImportGraph

ROOT = pathlib.Path(__file__).parents[1]
GRAPH = ImportGraph(ROOT)
TFX_AND_BEAM = {"tfx", "apache_beam"}
FORBIDDEN = {
    "mixer_tf": {*TFX_AND_BEAM, "components", "pipeline", "kubeflow"},
    "components": {"pipeline", "kubeflow"},
    "pipeline": {"kubeflow"},
}


def edges() -> dict[str, set[str]]:
    """Module → what it imports at any depth, lazily, or by a name in a string."""
    return {module: GRAPH.dependencies(module) for module in GRAPH.modules}


def grouped(group: Callable[[str], str]) -> dict[str, set[str]]:
    """The edges between groups of modules, without those inside a group."""
    found = {group(module): set() for module in GRAPH.modules}
    for module, dependencies in edges().items():
        found[group(module)] |= {group(name) for name in dependencies} - {group(module)}
    return found


def package(module: str) -> str:
    """ "mixer_tf.images.resizing" → "mixer_tf.images"."""
    return ".".join(module.split(".")[:2])


def top_level(module: str) -> str:
    return module.partition(".")[0]


def modules_of(folder: str) -> list[str]:
    return [module for module in GRAPH.modules if top_level(module) == folder]


def imported_names(module: str) -> Iterator[str]:
    """Every name in an import statement or a call of `import_module`, inside functions too."""
    for node in ast.walk(ast.parse(GRAPH.path(module).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def imported_packages(module: str) -> set[str]:
    """The top-level packages that a module imports, in this project and outside it."""
    named = {top_level(name) for name in imported_names(module)}
    return named | {top_level(name) for name in GRAPH.dependencies(module)}


@pytest.mark.parametrize("folder", PACKAGES)
def test_no_import_points_back(folder):
    modules = modules_of(folder)
    assert modules
    for module in modules:
        wrong = imported_packages(module) & FORBIDDEN[folder]
        assert not wrong, f"{module} must not import {', '.join(sorted(wrong))}"


def test_no_cycle_between_modules():
    assert find_cycle(edges()) == []


def test_no_cycle_between_packages():
    assert find_cycle(grouped(package)) == []


def test_longest_chain_of_imports_goes_from_the_command_to_the_library():
    chain = longest_chain(edges())
    print(f"{len(chain)} modules: {' -> '.join(chain)}")  # shown by pytest -rP
    assert top_level(chain[0]) == "pipeline"
    assert top_level(chain[-1]) == "mixer_tf"


def test_transforms_know_beam_but_not_tfx():
    """Not through the modules that they import either."""
    transforms = [module for module in modules_of("components") if module.endswith(".transforms")]
    assert transforms
    for transform in transforms:
        pending, seen = [transform], set()
        while pending:
            module = pending.pop()
            assert "tfx" not in imported_packages(module), f"{transform} gets tfx from {module}"
            seen.add(module)
            pending += GRAPH.imports(module) - seen


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


def test_options_of_the_runner_need_neither_tensorflow_nor_tfx():
    run(
        "import sys\n"
        "import pipeline.local_runner, pipeline.options\n"
        "heavy = {'tensorflow', 'tensorflow_datasets', 'tfx', 'apache_beam'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )


def test_config_and_fingerprints_need_neither_tensorflow_nor_tfx():
    run(
        "import sys\n"
        "import pipeline.configs, pipeline.fingerprints, pipeline.import_graph\n"
        "heavy = {'tensorflow', 'tfx', 'apache_beam'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )


def test_library_imports_where_tfx_and_beam_are_not_installed():
    modules = [
        module
        for module in modules_of("mixer_tf")
        if not module.endswith(".__main__")  # which runs the command line
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
