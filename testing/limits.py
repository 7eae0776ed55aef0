"""Limits of actions for tests, which must not meet those that another test has used up."""


class AllActions(dict[str, int]):
    """The given limits, and one and the same for every action that is not among them."""

    def __init__(self, otherwise: int, **limits: int) -> None:
        super().__init__(limits)
        self.otherwise = otherwise

    def get(self, name: str, default: object = None) -> int:
        """Return the limit of an action, whatever its feature declares."""
        return super().get(name, self.otherwise)

    def but(self, **limits: int) -> "AllActions":
        """Return these limits with some others."""
        return AllActions(self.otherwise, **self, **limits)
