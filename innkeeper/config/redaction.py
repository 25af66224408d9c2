"""A structure that never shows what its secret fields hold.

Base of all that carries secrets in the configuration: representations end up in logs and
tracebacks.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec


class Redacted(msgspec.Struct, frozen=True, kw_only=True):
    """Fields named in `hidden` are shown as `…` where they are set."""

    hidden: ClassVar[frozenset[str]] = frozenset()

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        values = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [(name, "…" if value and name in self.hidden else value) for name, value in values]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({fields})"
