"""python -m bench [name...]: run the benchmarks of these names, or all of them."""

import signal
import sys
from importlib import import_module

from bench.report import Report
from testing.binaries import ServerUnavailable

NAMES = ("http", "fanout", "memory", "messages", "neighbours")


def main(names: list[str]) -> int:
    """Run the benchmarks and write their results; return 0 when all of them could be run."""
    if unknown := set(names) - set(NAMES):
        print(f"There is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}.")
        return 2
    # Whoever is told to stop still stops what he has started.
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
