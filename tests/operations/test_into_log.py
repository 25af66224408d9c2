"""Captured deliveries from a file, appended to the log or only rehearsed."""

from __future__ import annotations

import io
import json

import pytest

from innkeeper.operations.captured import MAX_LINE_BYTES, CapturedLine, read_lines, write_line
from innkeeper.operations.deliveries import Question, export_deliveries
from innkeeper.operations.into_log import append_lines, file_digest, rehearse_lines
from tests.inn import Inn, brings_secrets, key_of, rebilly, states
from tests.operations import acme
from tests.standing import standing_of


def exported(inn: Inn) -> io.BytesIO:
    """All that came in, as a file."""
    lines = export_deliveries(inn.desk, Question(), with_secrets=True)
    return io.BytesIO(b"".join(map(write_line, lines)))


@pytest.fixture
def file(inn: Inn) -> io.BytesIO:
    """An instance's life as a file; the store is empty again."""
    inn.post(brings_secrets("acme"))
    inn.states("acme")
    inn.states("acme", suspended=True)
    inn.post(rebilly())
    inn.apply()
    captured = exported(inn)
    inn.desk.store.command("FLUSHALL")
    return captured


def test_a_file_builds_the_register_anew_and_only_once(inn: Inn, file: io.BytesIO) -> None:
    """Run again it does nothing, nor does another file with the same lines change anything."""
    report = append_lines(inn.desk, read_lines(file), file_digest(file))
    assert (report.accepted, report.is_fine) == (4, True)
    inn.apply()
    line = inn.desk.register.line(key_of())
    assert line is not None
    assert (line.instance.status, len(line.instance.secrets)) == ("suspended", 2)
    transitions = inn.desk.register.transitions(key_of())
    assert [one.name for one in transitions] == ["installed", "enabled", "suspended"]

    file.seek(0)
    report = append_lines(inn.desk, read_lines(file), file_digest(file))
    assert (report.accepted, report.duplicate) == (0, 4)
    other = io.BytesIO(file.getvalue() + b"\n")
    report = append_lines(inn.desk, read_lines(other), file_digest(other))
    assert report.accepted == 4
    inn.apply()
    assert inn.desk.register.transitions(key_of()) == transitions


def test_what_was_applied_sets_off_nothing_unless_asked_to(inn: Inn) -> None:
    """`follow_ups` has the follow-ups of what these lines did run again."""
    acme.provisioned.clear()
    inn.states("acme")
    inn.perform()
    for follow_ups, runs in ((False, 1), (True, 2)):
        file = exported(inn)
        append_lines(inn.desk, read_lines(file), file_digest(file), follow_ups=follow_ups)
        inn.apply()
        inn.perform()
        assert len(acme.provisioned) == runs
    assert len(inn.desk.register.transitions(key_of())) == 2


def test_a_rehearsal_tells_what_would_change_and_changes_nothing(
    inn: Inn, file: io.BytesIO
) -> None:
    """Instance by instance, on top of the register as it is."""
    report, changes = rehearse_lines(inn.desk, read_lines(file))
    assert report.accepted == 4
    tides, notes = changes
    assert (tides.instance, tides.from_status, tides.to_status) == (
        "rebilly/tides/org-1", None, "enabled",
    )  # fmt: skip
    assert (notes.instance, notes.to_status) == ("xurrent/notes/acme", "suspended")
    names = ("secrets_updated", "installed", "enabled", "suspended")
    assert notes.transitions == names
    assert notes.secrets == ("application.client_id", "application.client_secret")
    assert standing_of(inn.desk.store).instances == 0
    assert standing_of(inn.desk.store).counts["accepted"] == 0
    file.seek(0)
    append_lines(inn.desk, read_lines(file), file_digest(file))
    inn.apply()
    file.seek(0)
    _, changes = rehearse_lines(inn.desk, read_lines(file))
    assert [one.instance for one in changes if one.from_status != one.to_status] == []


def test_lines_that_cannot_be_used_are_counted_with_their_number(inn: Inn) -> None:
    """Malformed, too long, without an app, withheld: none stops the rest."""
    good = states("acme")
    line = CapturedLine(platform="xurrent", app="notes", headers=good.headers, body=good.body)
    withheld = json.dumps({"platform": "xurrent", "app": "notes", "withheld": True}).encode()
    parts = [
        b"nonsense\n",
        b"\n",
        b'{"platform": "xurrent", "body_base64": "' + b"A" * MAX_LINE_BYTES + b'"}\n',
        withheld + b"\n",
        write_line(CapturedLine(platform="xurrent", app="gone", body=b"{}")),
        write_line(CapturedLine(platform="mars", body=b"{}")),
        write_line(CapturedLine(platform="xurrent", app="notes", body=b"{}")),
        b'{"platform": "xurrent", "app": "notes"}\n',
        write_line(line),
    ]
    file = io.BytesIO(b"".join(parts))
    report = append_lines(inn.desk, read_lines(file), file_digest(file))
    assert (report.accepted, report.rejected, report.failed, report.withheld) == (1, 3, 3, 1)
    assert [number for number, _ in report.faults] == [1, 3, 5, 6, 7, 8]
    assert dict(report.faults)[3] == "the line is longer than 4 MiB"
    inn.apply()
    assert inn.desk.register.line(key_of()) is not None


def test_a_captured_line_keeps_its_exact_bytes() -> None:
    """Written and read again it is the same, whatever its body."""
    line = CapturedLine(
        id="1-a", platform="rebilly", query="event=enabled", body=bytes(range(256)),
        headers=(("content-type", "application/json"),),
    )  # fmt: skip
    (read,) = read_lines(io.BytesIO(write_line(line)))
    assert read.captured == line
