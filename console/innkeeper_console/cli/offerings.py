"""`innkeeper offerings` and `innkeeper installations`: what the marketplaces' own APIs hold."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from innkeeper_console.cli.fields import FieldsFile, SetFields, read_fields
from innkeeper_console.cli.opening import opened
from innkeeper_console.cli.options import AsJson, Commands, ConfigFile, DataFolder

App = Annotated[str, typer.Argument(metavar="APP", help="name, or platform/name")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The marketplace's own id.")]
_OFFERING = ("id", "reference", "name", "status", "disabled", "policy_jwt_alg", "updated_at")
_INSTALLATION = (
    "id", "subscriber_entity_type", "subscriber_entity_id", "subscriber_name",
    "accepted_permissions", "installed_on",
)  # fmt: skip


def offerings(
    app: App, config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False
) -> None:
    """List the offerings (Rebilly: applications) of the app's provider."""
    from innkeeper.operations.offerings import find_app, offerings_of

    with opened(config, data) as desk:
        of = offerings_of(desk, find_app(desk.config, app))
        found = [one for page in of.pages() for one in page]
    _list(_OFFERING, found, as_json)


def offering(
    app: App, id_: Id, config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False
) -> None:
    """Show one offering with all its fields."""
    from innkeeper.operations.offerings import find_app, offerings_of

    with opened(config, data) as desk:
        _show(offerings_of(desk, find_app(desk.config, app)).one(id_), as_json)


def create_offering(
    app: App,
    set_: SetFields = None,
    file: FieldsFile = None,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Create an offering (Rebilly: register an application)."""
    from innkeeper.operations.offerings import find_app, offerings_of

    fields = read_fields(set_, file)
    with opened(config, data) as desk:
        _show(offerings_of(desk, find_app(desk.config, app)).create(fields), as_json)


def update_offering(
    app: App,
    id_: Id,
    set_: SetFields = None,
    file: FieldsFile = None,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Change fields of an offering."""
    from innkeeper.operations.offerings import find_app, offerings_of

    fields = read_fields(set_, file)
    with opened(config, data) as desk:
        _show(offerings_of(desk, find_app(desk.config, app)).update(id_, fields), as_json)


def installations(
    app: App, config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False
) -> None:
    """List the app's installations as the marketplace has them."""
    from innkeeper.operations.offerings import OwnInstallations, find_app

    with opened(config, data) as desk:
        found = OwnInstallations(desk, find_app(desk.config, app)).all()
    _list(_INSTALLATION, found, as_json)


def installation(
    app: App, id_: Id, config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False
) -> None:
    """Show one installation with all its fields."""
    from innkeeper.operations.offerings import OwnInstallations, find_app

    with opened(config, data) as desk:
        _show(OwnInstallations(desk, find_app(desk.config, app)).one(id_), as_json)


def create_installation(
    app: App,
    set_: SetFields = None,
    file: FieldsFile = None,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Install the app for a customer."""
    from innkeeper.operations.offerings import OwnInstallations, find_app

    fields = read_fields(set_, file)
    with opened(config, data) as desk:
        _show(OwnInstallations(desk, find_app(desk.config, app)).create(fields), as_json)


def update_installation(
    app: App,
    id_: Id,
    set_: SetFields = None,
    file: FieldsFile = None,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Change fields of an installation."""
    from innkeeper.operations.offerings import OwnInstallations, find_app

    fields = read_fields(set_, file)
    with opened(config, data) as desk:
        _show(OwnInstallations(desk, find_app(desk.config, app)).update(id_, fields), as_json)


def delete_installation(
    app: App, id_: Id, config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False
) -> None:
    """Delete an installation."""
    from innkeeper.operations.offerings import OwnInstallations, find_app

    with opened(config, data) as desk:
        OwnInstallations(desk, find_app(desk.config, app)).delete(id_)
    _show({"id": id_, "status": "deleted"}, as_json)


def _list(columns: tuple[str, ...], found: list[dict[str, Any]], as_json: bool) -> None:
    from innkeeper_console.cli.printing import print_json, print_table

    if as_json:
        print_json(found)
        return
    stated = [name for name in columns if any(name in one for one in found)] or columns
    print_table(stated, ([one.get(name) for name in stated] for one in found))


def _show(document: dict[str, Any], as_json: bool) -> None:
    from innkeeper_console.cli.printing import print_fields, print_json

    (print_json if as_json else print_fields)(document)


OFFERINGS: Commands = {
    "list": offerings,
    "show": offering,
    "create": create_offering,
    "update": update_offering,
}
INSTALLATIONS: Commands = {
    "list": installations,
    "show": installation,
    "create": create_installation,
    "update": update_installation,
    "delete": delete_installation,
}
