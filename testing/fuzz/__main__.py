"""The API under random and hostile input: python -m testing.fuzz.

A real server with a new database first gets the requests that schemathesis generates from
openapi.yaml, valid and invalid ones, from two users and from anonymous users. Then every route gets
a list of hostile requests. The seed is fixed; FUZZ_EXAMPLES=200 tries more than CI has time for.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from testing.database import use_database
from testing.fuzz.findings import Findings
from testing.fuzz.generated import ending_sessions, in_the_name_of
from testing.fuzz.hostile import send_hostile_requests
from testing.fuzz.people import People, people_on
from testing.server import ServerProcess


def main() -> int:
    """Run everything and return 0 only if nothing is wrong."""
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "server.log"
        use_database(Path(directory) / "fuzz.sqlite3")
        findings = Findings()
        with ServerProcess(log) as server, people_on(server.url) as people:
            for name, run in runs(people).items():
                began, before = time.monotonic(), findings.statuses.total()
                run(findings)
                sent = findings.statuses.total() - before
                print(f"{name}: {sent} requests in {time.monotonic() - began:.0f} s", flush=True)
        return report(findings, log)


def runs(people: People) -> Mapping[str, Callable[[Findings], None]]:
    """Return the runs by name, in their order."""
    return {
        "generated, as Ann": in_the_name_of(people.ann, people, unseen=people.bob),
        "generated, as Bob": in_the_name_of(people.bob, people, unseen=people.ann, again=True),
        "generated, ending sessions": ending_sessions(people),
        "hostile requests": lambda findings: send_hostile_requests(people, findings),
    }


def report(findings: Findings, log: Path) -> int:
    """Print the findings and return the exit code."""
    findings.close()
    for what, how in findings.failures.items():
        print(f"\n== {what}\n{how}")
    if findings.failures:
        print(f"\n== The last lines of the server\n{log.read_text(errors='replace')[-5000:]}")
    print(findings.summary())
    return int(bool(findings.failures))


if __name__ == "__main__":
    sys.exit(main())
