# SPDX-License-Identifier: Apache-2.0
"""Every way in which a module can name another one counts as an import."""

import pathlib

import pytest
from graphs import find_cycle, longest_chain

from pipeline.import_graph import ImportGraph

TREE = {
    "app/__init__.py": "",
    "app/plain.py": "import app.leaf",
    "app/leaf.py": '"""Nothing but a docstring that says app.plain."""',
    "app/inside_function.py": "def f():\n    from app import leaf\n    return leaf",
    "app/relative.py": "from . import leaf\nfrom .shapes.square import side",
    "app/shapes/__init__.py": (
        "from app import lazy_attributes\n"
        "a, b, c = lazy_attributes.attach(__name__, {'Square': 'square', 'Circle': 'circle'})"
    ),
    "app/shapes/square.py": "side = 1",
    "app/shapes/circle.py": "",
    "app/lazy_attributes.py": "def attach(package, table): ...",
    "app/lazy_use.py": "from app import shapes\nshapes.Square()",
    "app/lazy_import.py": "from app.shapes import Circle",
    "app/dotted_use.py": "import app.shapes\napp.shapes.Circle()",
    "app/class_name.py": "MODEL = 'app.leaf:Model'",
    "app/function_name.py": "RUN = 'app.leaf.run'",
    "app/type_name.py": "TYPE = 'app.Report'",
    "app/script.py": "PATH = folder / 'leaf.py'",
    "app/page.py": "NAMES = 'page.html', 'missing.css', 'leaf.py'",
    "app/page.html": "<p>",
    "app/style.css": "",
    "app/composed.py": "import importlib\nimportlib.import_module(f'app.shapes.{name}')",
    "app/listed.py": "from app import shapes\npkgutil.iter_modules(shapes.__path__)",
    "app/found/__init__.py": "import importlib\nimportlib.import_module(f'{__name__}.{name}')",
    "app/found/one.py": "",
    "app/walked/__init__.py": "import pkgutil\npkgutil.iter_modules(__path__)",
    "app/walked/one.py": "",
}
SHAPES = {"app.shapes.square", "app.shapes.circle"}


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> ImportGraph:
    root = tmp_path_factory.mktemp("tree")
    for name, text in TREE.items():
        path = root / pathlib.Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return ImportGraph(root, packages=["app"])


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("plain", {"app.leaf"}),
        ("leaf", set()),
        ("inside_function", {"app.leaf"}),
        ("relative", {"app.leaf", "app.shapes.square"}),
        ("lazy_use", {"app.shapes", "app.shapes.square"}),
        ("lazy_import", {"app.shapes", "app.shapes.circle"}),
        ("dotted_use", {"app.shapes", "app.shapes.circle"}),
        ("class_name", {"app.leaf"}),
        ("function_name", {"app.leaf"}),
        ("type_name", set()),
        ("script", {"app.leaf"}),
        ("composed", SHAPES),
        ("listed", {"app.shapes", *SHAPES}),
        ("found", {"app.found.one"}),
        ("walked", {"app.walked.one"}),
        ("shapes", {"app.lazy_attributes"}),
    ],
)
def test_direct_imports(graph, module, expected):
    assert graph.imports(f"app.{module}") - {"app"} == expected


def test_closure_has_parent_packages_and_what_these_import(graph):
    assert graph.closure("app.lazy_import") == {
        *("app", "app.lazy_import", "app.shapes", "app.shapes.circle", "app.lazy_attributes")
    }


def test_files_are_those_beside_a_module_that_it_names(graph):
    assert [path.name for path in graph.files("app.page")] == ["page.html"]
    assert graph.files("app.leaf") == []


def test_dependencies_have_the_whole_table_of_lazy_attributes(graph):
    assert graph.dependencies("app.shapes") == {"app.lazy_attributes", *SHAPES}


def test_unknown_entry_module_is_refused(graph):
    with pytest.raises(ValueError, match="the entry module must be .*; got 'app.nowhere'"):
        graph.closure("app.nowhere")


def test_cycle_and_longest_chain():
    assert find_cycle({"a": ["b"], "b": ["c"], "c": []}) == []
    cycle = find_cycle({"a": ["b"], "b": ["c"], "c": ["b"]})
    assert cycle[0] == cycle[-1] and set(cycle) == {"b", "c"}
    assert longest_chain({"a": ["b", "c"], "b": ["c"], "c": []}) == ["a", "b", "c"]
