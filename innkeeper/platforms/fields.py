"""What the fields of a document may hold that we send to a marketplace: checked before it is sent.

Pure; the tables stand beside each marketplace's calls. All faults are found at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

import msgspec

_RESOURCE_ID = re.compile(r"[@~.\w-]+\Z", re.ASCII)


class Form(StrEnum):
    """What a field's value is; the value is how a fault says it."""

    TEXT = "a text"
    FLAG = "true or false"
    NUMBER = "a whole number"
    REFERENCE = "a reference: an id, or an object with `id` or `sourceID`"
    DURATION = "a duration: minutes, or a text"
    RESOURCE_ID = "an id (letters, digits, @ ~ - . _)"
    TEXTS = "a list of texts"
    OBJECTS = "a list of objects"
    OBJECT = "an object"
    CUSTOM_FIELDS = "an object, or a list of objects with `id` and `value`"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field: its form, and its bounds in characters or in bytes of UTF-8.

    `required`: has to be stated when the thing is created, and is never empty. `choices`: the only
    values. A field that is not required may be null.
    """

    form: Form = Form.TEXT
    required: bool = False
    max_characters: int | None = None
    max_bytes: int | None = None
    choices: tuple[str, ...] = ()


def faults_of(
    fields: Mapping[str, Any],
    known: Mapping[str, Field],
    *,
    creating: bool,
    read_only: Collection[str] = (),
) -> tuple[str, ...]:
    """Everything that is wrong with `fields`; each fault begins with the field's name."""
    faults = []
    if creating:
        missing = [name for name, field in known.items() if field.required and name not in fields]
        faults += [f"{name}: is required" for name in missing]
    elif not fields:
        faults.append("nothing is to be changed")
    for name, value in fields.items():
        if name in known:
            fault = _fault(value, known[name])
        else:
            fault = "is read-only" if name in read_only else "is not a field of this"
        if fault:
            faults.append(f"{name}: {fault}")
    return tuple(faults)


def _fault(value: Any, field: Field) -> str | None:
    if value is None:
        return "must not be null" if field.required else None
    if not _has_form(value, field.form):
        return f"must be {field.form.value}"
    if field.required and value == "":
        return "must not be empty"
    if field.choices and value not in field.choices:
        return f"must be one of {', '.join(field.choices)}"
    if field.max_characters is not None and len(value) > field.max_characters:
        return f"is longer than {field.max_characters} characters ({len(value)})"
    if field.max_bytes is not None and len(value.encode()) > field.max_bytes:
        return f"is larger than {field.max_bytes} bytes ({len(value.encode())})"
    return None


def _has_form(value: Any, form: Form) -> bool:
    match form:
        case Form.TEXT:
            return _is_text(value)
        case Form.FLAG:
            return isinstance(value, bool)
        case Form.NUMBER:
            return is_number(value)
        case Form.REFERENCE:
            return _is_reference(value)
        case Form.DURATION:
            return (type(value) is int and value >= 0) or (_is_text(value) and value != "")
        case Form.RESOURCE_ID:
            return _is_text(value) and bool(_RESOURCE_ID.match(value))
    return _has_composed_form(value, form)


def _has_composed_form(value: Any, form: Form) -> bool:
    if form is Form.OBJECT:
        return isinstance(value, dict)
    if form is Form.TEXTS:
        return isinstance(value, list) and all(_is_text(each) and each for each in value)
    if form is Form.CUSTOM_FIELDS and isinstance(value, dict):
        return True
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return False
    return form is Form.OBJECTS or all("id" in each and "value" in each for each in value)


def _is_text(value: Any) -> bool:
    """Whether it is a text that UTF-8 can hold."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_number(value: Any) -> bool:
    """Whether `number_in` gives a number."""
    return number_in(value) is not None


def number_in(value: Any) -> int | None:
    """A whole number of 0 or more, sent as such or as its text; None for all else."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 20 else None
    return value if type(value) is int and 0 <= value < 1 << 63 else None


def _is_reference(value: Any) -> bool:
    if isinstance(value, dict):
        by_id, by_source = value.get("id"), value.get("sourceID")
        return is_number(by_id) or (isinstance(by_source, str) and by_source != "")
    return is_number(value)
