"""The results of a run."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Findings:
    """The number of responses by status, and the failures among them."""

    tried: set[str] = field(default_factory=set)
    succeeded: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)

    def note(self, operation: str, status: int) -> None:
        """Count an answer."""
        self.statuses[status] += 1
        self.tried.add(operation)
        if 200 <= status < 300:
            self.succeeded.add(operation)

    def fail(self, what: str, how: str) -> None:
        """Keep the first example of a failure."""
        self.failures.setdefault(what, how)

    def close(self) -> None:
        """Fail each operation that never succeeded, since only its refusals were tested."""
        for operation in sorted(self.tried - self.succeeded):
            self.fail(operation, "No request of it has succeeded.")

    def summary(self) -> str:
        """Return one line with the numbers of the run."""
        kinds: Counter[str] = Counter()
        for status, count in self.statuses.items():
            kinds[f"{status // 100}xx"] += count
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        return (
            f"{len(self.tried)} operations, of which {len(self.succeeded)} have succeeded; "
            f"{self.statuses.total()} requests: {counts}; {len(self.failures)} failures"
        )
