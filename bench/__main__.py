"""python -m bench [name...]: run the benchmarks of these names, or all of them."""

import signal
import sys
from importlib import import_module

from bench.report import Report
from testing.binaries import ServerUnavailable

NAMES = (
    "reads",
    "writes",
    "split",
    "kept",
    "http",
    "fanout",
    "connects",
    "memory",
    "polls",
    "messages",
    "neighbours",
    "growth",
    "prune",
    "jobs",
    "notifications",
)


def main(names: list[str]) -> int:
    """Run the benchmarks and write their results; return 0 if all of them ran."""
    if unknown := set(names) - set(NAMES):
        print(f"There is no {', '.join(sorted(unknown))}; the benchmarks are {', '.join(NAMES)}.")
        return 2
    # A run that is told to stop still ends the processes that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for name in names or NAMES:
        print(f"== {name}", flush=True)
        try:
            report: Report = import_module(f"bench.{name}").run()
        except ServerUnavailable as reason:
            print(f"== SKIPPED: {name} was not measured. {reason}")
            return 1
        print(report.write(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
