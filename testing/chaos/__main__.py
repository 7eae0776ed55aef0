"""The installation loses no message, whatever fails: python -m testing.chaos [short]
[--experiment NAME] [--seed N] [--build BROKEN].

The long form repeats each experiment ten times, then has each broken build go through all of them,
and writes bench/results/chaos.md. The short form does each experiment once. With --build only that
broken build is run, and it has to be caught.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, get_args

import psycopg
import uvloop

from bench.report import Report, median_of
from bench.sockets import Refused as SocketRefused
from bench.sockets import allow_open_files
from testing.binaries import ServerUnavailable
from testing.chaos.broken_builds import BUILDS
from testing.chaos.catalogue import EXPERIMENTS
from testing.chaos.client import FAILED, Refused, Unanswered
from testing.chaos.cluster import cluster
from testing.chaos.invariants import Kind, Violation
from testing.chaos.journal import Journal
from testing.chaos.people import Cast
from testing.chaos.repetition import Repetition, Result, Skipped

REPETITIONS = 10
CROWD = 250
# Far more than any experiment takes.
MOST_SECONDS = 240.0
# Seconds between two heartbeats, and for which a worker holds a job.
USUAL_TIMES, SHORT_TIMES = (25.0, 30.0), (5.0, 3.0)
# By what an experiment is broken off: what it could not do then is a violation.
BREAKING = (AssertionError, Unanswered, Refused, SocketRefused, psycopg.Error, *FAILED)

Results = dict[str, list[Result]]


class Run:
    """All repetitions of one form, on clusters of the real build or of broken ones."""

    def __init__(self, names: Sequence[str], seed: int, *, long: bool) -> None:
        self.names = names
        self.seed = seed
        self.long = long
        self.skipped: dict[str, str] = {}

    async def results(self, build: str, repetitions: int) -> Results:
        """Return what came of each experiment with a build, the real one without a name."""
        found: Results = defaultdict(list)
        hurried = not self.long or bool(build)
        async with cluster(build, hurried=hurried) as made:
            people, _ = await asyncio.gather(
                asyncio.to_thread(made.people, repetitions * len(self.names), CROWD), made.ready()
            )
            casts = iter(people["casts"])
            for number in range(repetitions):
                for name in self.names:
                    rng = Random(f"{self.seed}/{name}/{number}")  # noqa: S311
                    journal = Journal()
                    careless = bool(build) and BUILDS[build].careless_client
                    cast = Cast(next(casts), made.webs, journal, rng, careless=careless)
                    one = Repetition(
                        made,
                        cast,
                        journal,
                        rng,
                        people["crowd"],
                        self.long and not build,
                        *(SHORT_TIMES if hurried else USUAL_TIMES),
                    )
                    result = await self._repeat(name, one)
                    if result is not None:
                        found[name].append(result)
        return found

    async def _repeat(self, name: str, one: Repetition) -> Result | None:
        began, kills = time.monotonic(), one.cluster.kills
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await one.cast.come()
                await EXPERIMENTS[name](one)
                await one.settle()
        except Skipped as reason:
            self.skipped[name] = str(reason)
            say(f"   {name}: SKIPPED, {reason}")
            return None
        except BREAKING as error:
            one.found.append(Violation("slow", f"broken off by {error!r}"))
        finally:
            await one.cast.leave()
            await one.cluster.mend()
        result = one.check()
        result.kills -= kills
        say(f"   {name}: {summary(result)} ({time.monotonic() - began:.0f} s)")
        return result


def summary(result: Result) -> str:
    """Return a line about a repetition, and what is wrong in more of them."""
    repaired = f", {len(result.repairs)} events repaired" if result.repairs else ""
    lines = [f"{result.acknowledged} acknowledged{repaired}", *result.notes]
    wrong = [f"\n      {one.kind}: {one.text}" for one in result.violations[:5]]
    more = [f"\n      and {len(result.violations) - 5} more"] if len(result.violations) > 5 else []
    return "; ".join(lines) + "".join(wrong + more)


def kinds(results: Iterable[Result]) -> Counter[str]:
    """Return how many violations of each kind there are."""
    return Counter(one.kind for result in results for one in result.violations)


def row(name: str, results: list[Result]) -> dict[str, Any]:
    """Return the line of an experiment in the table."""
    repairs = [seconds for result in results for seconds in result.repairs]
    found = kinds(results)
    return {
        "experiment": name,
        "repetitions": len(results),
        "acknowledged": sum(result.acknowledged for result in results),
        **{kind: found[kind] for kind in get_args(Kind)},
        "recovered": len(repairs),
        "repair p50, s": round(median_of(repairs), 2) if repairs else None,
        "repair max, s": round(max(repairs), 2) if repairs else None,
        "kills": sum(result.kills for result in results),
    }


def caught(results: Results) -> dict[str, str]:
    """Return which experiments caught a build, each with the first that it found wrong."""
    return {
        name: next(one.text for result in of for one in result.violations)
        for name, of in results.items()
        if kinds(of)
    }


async def long_run(run: Run, repetitions: int) -> int:
    """Do everything, write the report, and return 0 if all is as it has to be."""
    report = Report(
        "chaos",
        "Nothing is lost, whatever fails",
        "nothing lost, duplicated, out of order or wrong, and nothing slow; every broken build "
        "caught; 20,000 acknowledged sends and 50 kills",
    )
    results = await run.results("", repetitions)
    every = row("all", [one for of in results.values() for one in of])
    rows = {name: row(name, of) for name, of in results.items()}
    report.rows += [*rows.values(), every]
    for name, of in results.items():
        report.notes += [f"{name}: {note}" for result in of for note in result.notes]
        report.notes += [f"{name}: {one.text}" for result in of for one in result.violations]
    report.notes += [f"{name} was skipped: {why}" for name, why in run.skipped.items()]
    missed = []
    for build in BUILDS:
        # A run that is broken off leaves what it has measured so far.
        report.write()
        say(f"== without {BUILDS[build].lacks}: {build}")
        broken = await run.results(build, 1)
        found = caught(broken)
        missed += [] if found else [build]
        report.notes.append(f"{build}, without {BUILDS[build].lacks}: {by(found)}")
        for name, of in broken.items():
            rows[name][build] = ", ".join(sorted(kinds(of))) or "-"
    say(report.write())
    return int(bool(missed or kinds(one for of in results.values() for one in of)))


def by(found: dict[str, str]) -> str:
    """Return by what a build was caught."""
    return f"caught by {', '.join(found)}" if found else "NOT CAUGHT"


async def main(arguments: argparse.Namespace) -> int:
    """Run what the arguments ask for, and return 0 if all is as it has to be."""
    names = arguments.experiment or [*EXPERIMENTS]
    run = Run(names, arguments.seed, long=arguments.form == "long")
    # Told to stop, it still ends the processes that it started.
    this: asyncio.Task[Any] | None = asyncio.current_task()
    if this is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    allow_open_files(8192)
    say(f"== seed {arguments.seed}")
    if arguments.build:
        found = caught(await run.results(arguments.build, arguments.repetitions or 1))
        say(f"== {arguments.build}: {by(found)}")
        return int(not found)
    if run.long:
        return await long_run(run, arguments.repetitions or REPETITIONS)
    results = await run.results("", arguments.repetitions or 1)
    wrong = kinds(one for of in results.values() for one in of)
    every = row("all", [one for of in results.values() for one in of])
    say(f"== {every['acknowledged']} acknowledged, {every['kills']} kills, wrong: {dict(wrong)}")
    return int(bool(wrong))


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m testing.chaos")
    parser.add_argument("form", nargs="?", choices=["long", "short"], default="long")
    parser.add_argument("--experiment", action="append", choices=[*EXPERIMENTS])
    parser.add_argument("--build", choices=[*BUILDS])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repetitions", type=int)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        sys.exit(uvloop.run(main(parsed(sys.argv[1:]))))
    except ServerUnavailable as unavailable:
        say(f"== FAILED: {unavailable}")
        sys.exit(1)
    except asyncio.CancelledError:
        sys.exit(143)
    except KeyboardInterrupt:
        sys.exit(130)
