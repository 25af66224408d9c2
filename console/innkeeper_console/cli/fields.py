"""Fields as they are given on the command line: `--set name=value` and `--file JSON`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

SetFields = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="A field: JSON where it is any, else a text; over FILE."
    ),
]
FieldsFile = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="A JSON object of fields.")
]


def read_fields(stated: list[str] | None, file: Path | None) -> dict[str, Any]:
    """All fields together. Raises BadQuestion."""
    from innkeeper.operations.questions import BadQuestion

    fields: dict[str, Any] = _in_file(file) if file else {}
    for one in stated or ():
        name, equals, value = one.partition("=")
        if not (name and equals):
            raise BadQuestion(f"--set {one[:80]!r} is not of the form NAME=VALUE")
        fields[name] = _value(value)
    return fields


def _in_file(file: Path) -> dict[str, Any]:
    import msgspec

    from innkeeper.operations.questions import BadQuestion

    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise BadQuestion(f"{file} cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadQuestion(f"{file} is no JSON object: {error}") from None


def _value(text: str) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError):
        return text
