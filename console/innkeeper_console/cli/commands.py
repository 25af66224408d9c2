"""All commands, by name, in the order in which help lists them."""

from __future__ import annotations

import typer

from innkeeper_console.cli import (
    auditing,
    checking,
    connecting,
    dead_letters,
    deliveries,
    doctor,
    explaining,
    follow_ups,
    importing,
    instances,
    offerings,
    policies,
    reconciling,
    rejected,
    replaying,
    running,
    secrets,
)
from innkeeper_console.cli.options import ListingOfGroup, group, plain_group

app = typer.Typer(
    help="The front desk of an app that is sold on marketplaces.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up")(running.up)
app.command("receiver")(running.receiver)
app.command("worker")(running.worker)
app.command("console")(running.console)
app.command("check")(checking.check)
app.command("doctor")(doctor.doctor)
group(app, "instances", "The register.", instances.COMMANDS)
app.command("explain")(explaining.explain)
group(app, "deliveries", "What came in.", deliveries.COMMANDS)
group(app, "rejected", "What was refused, and why.", rejected.COMMANDS)
group(app, "dead-letters", "What failed for good.", dead_letters.COMMANDS)
group(app, "follow-ups", "What is set off by transitions.", follow_ups.COMMANDS)
app.command("replay")(replaying.replay)
app.command("import")(importing.import_)
app.command("reconcile")(reconciling.reconcile)
group(app, "policies", "Customers' signing policies, as they were learned.", policies.COMMANDS)
app.command("audit")(auditing.audit)
app.command("rebuild")(auditing.rebuild)
app.command("sweep")(running.sweep)
app.command("forget")(secrets.forget)
plain_group(app, "secrets", "The keys that encrypt what is stored.", secrets.COMMANDS)
app.command("connect")(connecting.connect)
group(
    app,
    "offerings",
    "What the vendor offers on an app's marketplace.",
    offerings.OFFERINGS,
    ListingOfGroup,
)
group(
    app,
    "installations",
    "Installations that a vendor makes itself (Xandr).",
    offerings.INSTALLATIONS,
    ListingOfGroup,
)
