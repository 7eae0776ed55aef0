"""A cheap hasher for tests, which checks the thread that it is called in."""

import threading

from django.contrib.auth.hashers import MD5PasswordHasher

_here = threading.local()


def hashes_here() -> int:
    """Return how many passwords this thread has hashed."""
    return getattr(_here, "hashes", 0)


class NoticedHasher(MD5PasswordHasher):
    """Refuses to hash in those threads of a server that a hash would block for too long."""

    def encode(self, password: str, salt: str) -> str:
        """Return the hash; raise AssertionError in a thread that is for other requests."""
        name = threading.current_thread().name
        assert not name.startswith(("reading", "writing", "realtime")), (
            f"A password is hashed in {name}."
        )
        _here.hashes = hashes_here() + 1
        return super().encode(password, salt)
