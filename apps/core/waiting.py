"""What waits to be done, by owner: owners take turns, so that one of them who asks for much delays
the others by little."""

from collections import Counter, OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Waiting(Generic[T]):
    """Items in the order in which they are to be done. Those of one owner keep their order."""

    def __init__(self) -> None:
        # The owner whose turn is next comes first.
        self._of_owner: OrderedDict[Hashable, deque[T]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, owner: Hashable, item: T) -> None:
        """Add an item behind the others of its owner."""
        self._of_owner.setdefault(owner, deque()).append(item)
        self._count += 1

    def take(self, most: int, share: int | None = None) -> list[T]:
        """Return the items whose turn it is, `most` of them, and `share` of one owner at most."""
        taken: list[T] = []
        shares: Counter[Hashable] = Counter()
        full: dict[Hashable, deque[T]] = {}
        while self._of_owner and len(taken) < most:
            owner, items = self._of_owner.popitem(last=False)
            taken.append(items.popleft())
            shares[owner] += 1
            if items:
                (full if shares[owner] == share else self._of_owner)[owner] = items
        self._of_owner.update(full)
        self._count -= len(taken)
        return taken
