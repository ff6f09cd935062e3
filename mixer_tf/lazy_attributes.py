# SPDX-License-Identifier: Apache-2.0
"""Package attributes that are imported on first use, so that importing a package is quick."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping


def attach(package: str, modules: Mapping[str, str]) -> tuple[Callable, Callable, list[str]]:
    """Returns `__getattr__`, `__dir__` and `__all__` for a package (PEP 562).

    ```
    __getattr__, __dir__, __all__ = lazy_attributes.attach(__name__, {"decode": "decoding"})
    ```

    Args:
        package: the name of the package.
        modules: name of an attribute → the submodule that defines it, relative to the package.
    """

    def getattr_(name: str):
        if name not in modules:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}; it has {', '.join(modules)}"
            )
        value = getattr(importlib.import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    def dir_() -> list[str]:
        """The public names, without what the package itself imports."""
        special = (name for name in vars(sys.modules[package]) if name.startswith("__"))
        return sorted({*special, *modules})

    return getattr_, dir_, list(modules)
