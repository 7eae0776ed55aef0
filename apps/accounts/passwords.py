"""Passwords: normalised, hashed and compared here and nowhere else.

A hash takes its tens of milliseconds on purpose, and whoever waits for a lock must not wait for
that too. So these functions are called before a transaction begins, and what they found is looked
at again under the lock (docs/decisions/0008-hash-first.md).
"""

import unicodedata
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.hashers import (
    Argon2PasswordHasher,
    check_password,
    get_hasher,
    make_password,
)
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from apps.accounts.hashing_process import hashing_process
from apps.core.errors import FieldError, Invalid

# Four times the 128 characters that a password may have: no more than four become one (the longest
# canonical decompositions, Unicode Standard Annex 15).
MOST_TYPED = 512


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with the least parameters that OWASP's Password Storage Cheat Sheet recommends:
    19 MiB, two passes, one thread. Django's own 100 MiB and eight threads per hash would keep
    every core from the event loop, and let a handful of logins fill the memory."""

    memory_cost = 19 * 1024
    time_cost = 2
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        """Return the hash, made in the hashing process of a server; elsewhere in this thread."""
        with_these = self.params()
        encoded = hashing_process.ask(
            "encode",
            password,
            salt,
            with_these.time_cost,
            with_these.memory_cost,
            with_these.parallelism,
            with_these.hash_len,
        )
        if encoded is None:
            return super().encode(password, salt)
        return f"{self.algorithm}{encoded}"

    def verify(self, password: str, encoded: str) -> bool:
        """Return whether this is the hash of the password, compared likewise."""
        _, _, without_algorithm = encoded.partition("$")
        right: bool | None = hashing_process.ask("verify", password, f"${without_algorithm}")
        return super().verify(password, encoded) if right is None else right


@dataclass(frozen=True)
class Verdict:
    """Whether a password was right, and the hash that shall take the place of the stored one if
    that was made with other parameters than are used today."""

    right: bool
    fresh: str | None = None


async def start_hashing() -> None:
    """Have a server's hashing process there before its first request, unless it has another hasher,
    as those of tests do."""
    if isinstance(get_hasher(), Argon2Hasher):
        hashing_process.start()


def normalized(password: str) -> str:
    """Return the password in NFC (RFC 8265, 4.2.2): one keyboard types é as one character, another
    as two, and the person sees the same. Lengths are counted after this.

    What is longer than MOST_TYPED is returned as it is: it is too long in any form, and to put a
    hundred thousand accents in order would stop the whole process for seconds.
    """
    return password if len(password) > MOST_TYPED else unicodedata.normalize("NFC", password)


def hashed(password: str) -> str:
    """Return the hash that is stored for a password."""
    return make_password(normalized(password))


def verify(password: str, encoded: str) -> Verdict:
    """Compare a password with a stored hash. Nothing is saved here: the hash may have been
    replaced meanwhile, and only who holds the user's lock can tell."""
    fresh: list[str] = []
    right = check_password(
        normalized(password), encoded, lambda again: fresh.append(make_password(again))
    )
    return Verdict(right, fresh[0] if fresh else None)


def verify_nothing(password: str) -> None:
    """Take as long as verify() does, for an account that is not there."""
    hashed(password)


def require_good(password: str, user: Any, field: str) -> None:
    """Raise Invalid, which names the field, for a password that is too weak for its user."""
    try:
        validate_password(normalized(password), user)
    except ValidationError as error:
        raise Invalid(
            errors=[
                FieldError(field, str(one.message % (one.params or {})), one.code or "invalid")
                for one in error.error_list
            ]
        ) from error
