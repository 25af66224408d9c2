"""Reads `[apps.credentials]`: what unsigned deliveries have to carry. Called by `app_tables`."""

from __future__ import annotations

from innkeeper.config.apps import Basic, Header, NoCredential
from innkeeper.config.reading import Table
from innkeeper.config.units import matching, one_of

_kind = one_of("basic", "header", "none")
_header_name = matching(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", "the name of a header")
_user_name = matching(r"[^:]+", "a user name: it holds a colon")

# Stands for what is faulty; never serves, since a faulty configuration is refused.
_STAND_IN = Basic(username="", password="")


def read_credential(app: Table) -> Basic | Header | NoCredential:
    """The credential; `none` is only for an app that can be read back."""
    if not app.has("credentials"):
        app.fault("credentials", "is missing: a table with type basic, header or none")
        return _STAND_IN
    table = app.table("credentials")
    kind = table.need("type", _kind, None)
    if kind is None:
        return _STAND_IN
    found: Basic | Header | NoCredential = NoCredential()
    if kind == "basic":
        found = Basic(
            username=table.need("username", _user_name, ""),
            password=table.secret("password_env"),
        )
    elif kind == "header":
        found = Header(name=table.need("name", _header_name, ""), value=table.secret("value_env"))
    elif not app.has("api"):
        table.fault("type", "'none' needs an [apps.api] with which to read back")
    table.end()
    return found
