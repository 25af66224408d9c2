"""`python -m simulator`: the marketplaces on one machine, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from simulator.certificate import make_certificate
from simulator.configuration import environment, write_configuration
from simulator.keys import ALGORITHMS
from simulator.run import Run
from simulator.servers import serving
from simulator.settings import Pace, Rates, Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop; 2 where a port is taken."""
    said = _parser().parse_args(arguments)
    try:
        asyncio.run(_run(said))
    except OSError as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 2
    return 0


async def _run(said: argparse.Namespace) -> None:
    settings = _settings(said)
    run = Run(settings, datetime.now(UTC) - timedelta(days=30))
    with tempfile.TemporaryDirectory(prefix="simulator-") as temporary:
        beside = said.write_config.resolve().parent if said.write_config else Path(temporary)
        beside.mkdir(parents=True, exist_ok=True)
        certificate = make_certificate(beside, settings.host) if settings.tls_port else None
        if said.write_config:
            write_configuration(run, said.write_config)
        async with serving(run, certificate):
            variables = environment(certificate.authority if certificate else None)
            lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
            if said.write_config:
                (beside / "simulator.env").write_text("\n".join([*lines, ""]))
            print("\n".join([*lines, f"# listening on {settings.base}"]), flush=True)
            await _until_stopped(run, said.every)


async def _until_stopped(run: Run, every: float | None) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    if every is not None:
        run.start(_living(run, every))
    await stopped.wait()


async def _living(run: Run, every: float) -> None:
    """Things happen by themselves."""
    while True:
        await run.act(1)
        await run.sender.flush()
        await asyncio.sleep(every)


def _settings(said: argparse.Namespace) -> Settings:
    rates = Rates(
        dropped=said.dropped,
        duplicated=said.duplicated,
        disorder=said.disorder,
        delayed=said.delayed,
        delay_seconds=said.delay_seconds,
        elsewhere=said.elsewhere,
        small=said.small,
    )
    pace = Pace(
        answer_within=said.answer_within,
        scale=said.scale,
        concurrency=said.concurrency,
        switch_off_after=said.switch_off_after,
    )
    return Settings(
        seed=said.seed,
        host=said.host,
        port=said.port,
        tls_port=said.tls_port or None,
        receiver=said.receiver.rstrip("/"),
        customers=said.customers,
        algorithms=tuple(said.algorithms),
        connected=not said.unconnected,
        keeps_disabled=not said.forgets_disabled,
        rates=rates,
        pace=pace,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    plain, pace, rates = Settings(), Pace(), Rates()
    add = parser.add_argument
    add("--seed", type=int, default=plain.seed)
    add("--host", default=plain.host)
    add("--port", type=int, default=plain.port)
    add("--tls-port", type=int, default=plain.tls_port, help="0: no discovery, no handshakes")
    add("--receiver", default=plain.receiver)
    add("--write-config", type=Path, metavar="FILE")
    add("--customers", type=int, default=plain.customers)
    add("--algorithms", nargs=2, choices=ALGORITHMS, default=plain.algorithms)
    add("--every", type=float, metavar="SECONDS", help="things happen by themselves")
    add("--unconnected", action="store_true", help="no webhook until one is registered")
    add("--forgets-disabled", action="store_true", help="Rebilly shows no disabled instance")
    add("--answer-within", type=float, default=pace.answer_within)
    add("--scale", type=float, default=pace.scale, help="of the intervals between retries")
    add("--concurrency", type=int, default=pace.concurrency)
    add("--switch-off-after", type=int, default=pace.switch_off_after)
    for name in ("dropped", "duplicated", "delayed", "delay_seconds", "elsewhere", "small"):
        add(f"--{name.replace('_', '-')}", type=float, default=getattr(rates, name))
    add("--disorder", type=int, default=rates.disorder)
    return parser


if __name__ == "__main__":
    sys.exit(main())
