"""`innkeeper follow-ups`."""

from __future__ import annotations

from innkeeper_console.cli.opening import read_config
from innkeeper_console.cli.options import AsJson, Commands, ConfigFile, DataFolder


def listed(config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False) -> None:
    """List the configured follow-ups."""
    from innkeeper.operations.follow_ups import follow_ups_document
    from innkeeper_console.cli.printing import print_json, print_table

    documents = follow_ups_document(read_config(config, data))
    if as_json:
        print_json(documents)
        return
    print_table(
        ("name", "on", "app", "does", "timeout", "on_failure"),
        (
            (
                one["name"],
                " ".join(one["on"]),
                "/".join(filter(None, (one["platform"], one["app"]))) or "any",
                f"call {one['call']}" if one["call"] else f"post {one['post']}",
                f"{one['timeout_seconds']:g}s",
                one["on_failure"],
            )
            for one in documents
        ),
    )


COMMANDS: Commands = {"list": listed}
