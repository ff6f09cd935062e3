# SPDX-License-Identifier: Apache-2.0
"""Which project modules a module imports, read from the source: nothing is imported to find out."""

from __future__ import annotations

import ast
import functools
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

PACKAGES = ("mixer_tf", "components", "pipeline")


class ImportGraph:
    """The imports between the modules of one source tree.

    An import counts at any depth of a function. What also counts, because it imports a module when
    the program runs:

    * an attribute that a package loads on first use (`lazy_attributes.attach`), where it is used;
    * a string that is the dotted name of a module, alone or followed by ":Name" or ".name", and the
      file name of a module in the same folder, such as "check.py";
    * every submodule of a package whose modules are listed with `pkgutil` (`__path__`) or imported
      by a name that is put together, such as `import_module(f"{__name__}.{name}")`.
    """

    def __init__(self, root: pathlib.Path, packages: Iterable[str] = PACKAGES):
        """Lists the modules; each is read when it is first asked for.

        Args:
            root: the folder that holds the packages.
            packages: top-level packages.
        """
        self._files = {
            _module_name(path.relative_to(root)): path
            for package in packages
            for path in sorted((root / package).rglob("*.py"))
        }
        self._imports: dict[str, frozenset[str]] = {}
        self._lazy: dict[str, dict[str, str]] = {}
        self._nodes = functools.cache(self._read)

    def __contains__(self, module: str) -> bool:
        return module in self._files

    @property
    def modules(self) -> list[str]:
        """The names of all modules, sorted; a package stands for its `__init__.py`."""
        return sorted(self._files)

    def path(self, module: str) -> pathlib.Path:
        """Returns the file of a module."""
        return self._files[module]

    def is_package(self, module: str) -> bool:
        return self._files[module].name == "__init__.py"

    def submodules(self, package: str) -> set[str]:
        """Returns the modules below a package, at any depth."""
        return {module for module in self._files if module.startswith(f"{package}.")}

    def imports(self, module: str) -> frozenset[str]:
        """Returns the project modules that a module names, without their parent packages."""
        if module not in self._imports:
            found = _References(self, module, self._nodes(module)).found
            self._imports[module] = frozenset(found - {module})
        return self._imports[module]

    def lazy_attributes(self, package: str) -> Mapping[str, str]:
        """Returns attribute → module, for the attributes that a package loads on first use."""
        if package not in self._lazy:
            self._lazy[package] = _lazy_table(package, self._nodes(package)[0])
        return self._lazy[package]

    def files(self, module: str) -> list[pathlib.Path]:
        """Returns the files beside a module that it names, such as "page.html", sorted."""
        names = {
            node.value
            for node in self._nodes(module)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        beside = sorted(self._files[module].parent.iterdir())
        return [path for path in beside if path.name in names and path.suffix not in ("", ".py")]

    def dependencies(self, module: str) -> set[str]:
        """Returns the modules that a module may import, its whole table of lazy ones included."""
        return {*self.imports(module), *self.lazy_attributes(module).values()} - {module}

    def closure(self, module: str) -> set[str]:
        """Returns a module with all that it imports, transitively, and all parent packages.

        Raises:
            ValueError: there is no such module.
        """
        if module not in self:
            raise ValueError(f"the entry module must be a file of the project; got {module!r}.")
        found: set[str] = set()
        pending = [module]
        while pending:
            current = pending.pop()
            if current not in found:
                found.add(current)
                pending += [*self.imports(current), *_parents(current)]
        return found

    def _read(self, module: str) -> list[ast.AST]:
        """All nodes of a module, the tree itself first, as `ast.walk` yields them but faster."""
        nodes: list[ast.AST] = [ast.parse(self._files[module].read_bytes())]
        for node in nodes:  # which grows
            for value in vars(node).values():
                if isinstance(value, list):
                    nodes += [child for child in value if isinstance(child, ast.AST)]
                elif isinstance(value, ast.AST):
                    nodes.append(value)
        return nodes


class _References:
    """The project modules that the source of one module refers to, in `found`."""

    def __init__(self, graph: ImportGraph, module: str, nodes: Sequence[ast.AST]):
        self.found: set[str] = set()
        self._graph = graph
        self._package = module if graph.is_package(module) else module.rpartition(".")[0]
        self._module = module
        self._bound: dict[str, str] = {}  # local name → the module that it stands for
        for node in nodes:  # first, so that the names are known
            if isinstance(node, ast.Import):
                self._read_import(node)
            elif isinstance(node, ast.ImportFrom):
                self._read_import_from(node)
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if id(node) not in docstrings:
                self._read_expression(node)

    def _read_import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name in self._graph:
                self.found.add(alias.name)
                first = alias.name.partition(".")[0]
                self._bound[alias.asname or first] = alias.name if alias.asname else first

    def _read_import_from(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parents = self._package.split(".")
            base = ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [base])])
        for alias in node.names:
            module = f"{base}.{alias.name}"
            if module in self._graph:
                self.found.add(module)
                self._bound[alias.asname or alias.name] = module
            elif base in self._graph:
                self.found.add(base)
                self._use_attribute(base, alias.name)

    def _read_expression(self, node: ast.AST) -> None:
        if isinstance(node, ast.Attribute):
            base = self._module_of(node.value)
            if base:
                self._use_attribute(base, node.attr)
        elif isinstance(node, ast.Name) and node.id == "__path__":
            self.found |= self._graph.submodules(self._package)
        elif isinstance(node, ast.JoinedStr):
            self._read_composed_name(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self._read_string(node.value)

    def _use_attribute(self, base: str, name: str) -> None:
        """Follows `base.name` to a submodule, or through a table of lazy attributes."""
        lazy = self._graph.lazy_attributes(base)
        if f"{base}.{name}" in self._graph:
            self.found.add(f"{base}.{name}")
        elif name in lazy:
            self.found.add(lazy[name])
        elif name == "*":
            self.found.update(lazy.values())
        elif name == "__path__":
            self.found |= self._graph.submodules(base)

    def _module_of(self, node: ast.AST) -> str | None:
        """The module that a dotted expression stands for, such as `images` or `mixer_tf.images`."""
        if isinstance(node, ast.Name):
            return self._bound.get(node.id)
        if isinstance(node, ast.Attribute):
            module = f"{self._module_of(node.value)}.{node.attr}"
            return module if module in self._graph else None
        return None

    def _read_composed_name(self, node: ast.JoinedStr) -> None:
        """f"package.name.{x}", f"{__name__}.{x}", f"{__package__}.{x}" or f"{m.__name__}.{x}"."""
        first, *rest = node.values or [None]
        if isinstance(first, ast.Constant):
            package, dot, end = first.value.rpartition(".")
            if dot and not end and package in self._graph:
                self.found |= self._graph.submodules(package)
        elif isinstance(first, ast.FormattedValue) and rest and _is_dot(rest[0]):
            package = self._package_of(first.value)
            if package:
                self.found |= self._graph.submodules(package)

    def _package_of(self, node: ast.AST) -> str | None:
        if isinstance(node, ast.Name):
            return {"__name__": self._module, "__package__": self._package}.get(node.id)
        if isinstance(node, ast.Attribute) and node.attr in ("__name__", "__package__"):
            return self._module_of(node.value)
        return None

    def _read_string(self, text: str) -> None:
        if text.endswith(".py"):
            sibling = f"{self._package}.{text.removesuffix('.py')}"
            self.found |= {sibling} & set(self._graph.modules)
            return
        name, colon, _ = text.partition(":")
        prefix, _, attribute = name.rpartition(".")
        if "." in name and name in self._graph:
            self.found.add(name)
        elif prefix in self._graph and attribute.isidentifier() and not colon:
            # A name such as "mixer_tf.Report" (of an artifact type) is not an import.
            if "." not in prefix and attribute not in self._graph.lazy_attributes(prefix):
                return
            self.found.add(prefix)
            self._use_attribute(prefix, attribute)


def _is_dot(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == "."


def _lazy_table(package: str, tree: ast.Module) -> dict[str, str]:
    """The second argument of `lazy_attributes.attach(__name__, {...})`, with whole module names."""
    for node in tree.body:
        call = getattr(node, "value", None)
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "attach":
            table = ast.literal_eval(call.args[1])
            return {name: f"{package}.{module}" for name, module in table.items()}
    return {}


def _module_name(path: pathlib.Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _parents(module: str) -> Iterator[str]:
    """Yields the packages that Python imports before a module."""
    while "." in module:
        module = module.rpartition(".")[0]
        yield module
