"""`innkeeper rebuild --check` and `innkeeper audit`: whether it all adds up."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from innkeeper_console.cli.failing import NOT_FINE, WRONG_USAGE, Failed
from innkeeper_console.cli.opening import opened
from innkeeper_console.cli.options import AsJson, ConfigFile, DataFolder

if TYPE_CHECKING:
    from innkeeper.operations.audit import Audit
    from innkeeper.operations.findings import Finding


def rebuild(
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="platform/app/account")] = None,
    check: Annotated[bool, typer.Option("--check", help="Compare, and change nothing.")] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Fold the log anew beside the register and tell each difference."""
    from innkeeper.operations import rebuild as rebuilding
    from innkeeper.operations.instances import read_key

    if not check:
        raise Failed(
            "only --check: the register is compared with the log, never replaced", WRONG_USAGE
        )
    asked = read_key(key) if key is not None else None
    instances = entries = 0
    differences: list[Any] = []
    unchecked: list[Any] = []
    with opened(config, data) as desk:
        for found in rebuilding.check(desk, asked):
            instances, entries = instances + found.instances, entries + found.entries
            differences += found.differences
            unchecked += found.unchecked
            _progress(f"{found.partition + 1} of 64 partitions")
    _progress("")
    if as_json:
        _print_rebuilt(instances, entries, differences, unchecked)
    else:
        _tell_rebuilt(instances, entries, differences, unchecked)
    if differences:
        sys.exit(NOT_FINE)


def _print_rebuilt(
    instances: int, entries: int, differences: list[Any], unchecked: list[Any]
) -> None:
    from innkeeper_console.cli.printing import print_json

    document = {
        "instances": instances,
        "entries": entries,
        "differences": differences,
        "unchecked": unchecked,
    }
    print_json(document)


def _tell_rebuilt(
    instances: int, entries: int, differences: list[Any], unchecked: list[Any]
) -> None:
    from innkeeper_console.cli.printing import shown

    for one in differences:
        print(f"{shown(one.instance)}  {shown(one.what)}: {shown(one.live)} → {shown(one.rebuilt)}")
    for one in unchecked:
        print(f"{shown(one.instance)}  cannot be checked: {shown(one.reason)}")
    told = f"{instances} instances, {entries} entries: {len(differences)} differences"
    print(f"{told}, {len(unchecked)} not checkable" if unchecked else told)


def audit(
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Tell whatever does not add up in the store, and what was accepted and is lost."""
    from innkeeper.operations.audit import Audit

    count, kept = 0, list[Any]()
    with opened(config, data) as desk:
        auditing = Audit(desk)
        for finding in auditing.findings(_progress):
            count += 1
            if as_json:
                kept.append(finding)
            else:
                _progress("")
                _tell_finding(finding)
    _progress("")
    if as_json:
        _print_audited(auditing, kept)
    else:
        _tell_audited(auditing, count)
    if count or auditing.lost:
        sys.exit(NOT_FINE)


def _progress(text: str) -> None:
    """One line on a terminal that is written over; nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _tell_finding(finding: Finding) -> None:
    from innkeeper_console.cli.printing import shown

    print(f"{finding.what} {shown(finding.id)}: {shown(finding.says)}")


def _print_audited(auditing: Audit, findings: list[Any]) -> None:
    from innkeeper_console.cli.printing import print_json

    counted = {"balance": auditing.balance, "notes": auditing.notes}
    print_json(counted | {"findings": findings, "lost": auditing.lost})


def _tell_audited(auditing: Audit, findings: int) -> None:
    from innkeeper_console.cli.printing import shown

    for lost in auditing.lost:
        known = f"the register has it {lost.status}" if lost.status else "the register has no line"
        missing = ", its secrets are missing" if lost.secrets_missing else ""
        told = f"{lost.deliveries} accepted and lost, {lost.ids[0]} the first; {known}{missing}"
        print(f"{shown(lost.instance)}: {told}")
    sums, lost_count = auditing.balance, sum(lost.deliveries for lost in auditing.lost)
    print(
        f"accepted {sums.accepted} = applied {sums.applied} + dead {sums.dead} + pending "
        f"{sums.pending}; kept {sums.kept}, trimmed {sums.trimmed}, forgotten {sums.forgotten}"
    )
    print(f"{auditing.notes} notes of receivers; {findings} do not fit, {lost_count} lost")
