"""How a check says what it has found: a name, a verdict, and a sentence for two in the morning."""

from __future__ import annotations

from innkeeper.store.trust import Finding


def fine(name: str, said: str, value: str | None = None) -> Finding:
    """As it should be."""
    return Finding(name=name, verdict="fine", value=value, said=_sentence(said))


def warning(name: str, said: str, value: str | None = None) -> Finding:
    """To be looked at by day."""
    return Finding(name=name, verdict="warning", value=value, said=_sentence(said))


def wrong(name: str, said: str, value: str | None = None) -> Finding:
    """To be mended now; `said` tells how."""
    return Finding(name=name, verdict="wrong", value=value, said=_sentence(said))


def unchecked(name: str, said: str) -> Finding:
    """Not known, and why."""
    return Finding(name=name, verdict="unchecked", value=None, said=_sentence(said))


def span(seconds: float) -> str:
    """How long, as people say it: in the largest unit that gives two or more, whole."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def mebibytes(count: float) -> str:
    """A number of bytes."""
    return f"{count / (1 << 20):,.0f} MiB"


def _sentence(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}{'' if said.endswith('.') else '.'}"
