"""Limits of actions for tests, which must not depend on what other tests have used up."""


class AllActions(dict[str, int]):
    """The given limits, and the same limit for all other actions."""

    def __init__(self, otherwise: int, **limits: int) -> None:
        super().__init__(limits)
        self.otherwise = otherwise

    def get(self, name: str, default: object = None) -> int:
        """Return the limit of an action, whatever its feature declares."""
        return super().get(name, self.otherwise)

    def but(self, **limits: int) -> "AllActions":
        """Return these limits with some of them changed."""
        return AllActions(self.otherwise, **self, **limits)
