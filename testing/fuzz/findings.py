"""What a run has seen."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Findings:
    """Answers, counted, and what was wrong with some of them."""

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
        """Keep the first way in which something fails."""
        self.failures.setdefault(what, how)

    def close(self) -> None:
        """Fail what never succeeded: of that only the refusals have been tried."""
        for operation in sorted(self.tried - self.succeeded):
            self.fail(operation, "No request of it has succeeded.")

    def summary(self) -> str:
        """Return in one line how much was tried."""
        kinds: Counter[str] = Counter()
        for status, count in self.statuses.items():
            kinds[f"{status // 100}xx"] += count
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        return (
            f"{len(self.tried)} operations, of which {len(self.succeeded)} have succeeded; "
            f"{self.statuses.total()} requests: {counts}; {len(self.failures)} failures"
        )
