# SPDX-License-Identifier: Apache-2.0
"""Stage: the named components of one part of the graph."""

from __future__ import annotations

import dataclasses

from tfx.dsl.components.base.base_node import BaseNode


@dataclasses.dataclass(frozen=True)
class Stage:
    """A dataclass whose fields are components, in the order in which they are listed, or None."""

    @property
    def components(self) -> list[BaseNode]:
        fields = [getattr(self, field.name) for field in dataclasses.fields(self)]
        return [component for component in fields if component is not None]
