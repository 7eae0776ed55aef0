"""Passwords: only this module normalises, hashes and compares them.

Hashing takes tens of milliseconds on purpose, and no other writer may wait so long for a lock. So
callers use these functions before their transaction begins, and check the result again under the
lock (docs/decisions/0008-hash-first.md).
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

# Four times the 128 characters that a password may have: NFC composes at most four characters into
# one (the longest canonical decompositions, Unicode Standard Annex 15).
MAX_RAW_LENGTH = 512


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with the smallest parameters that OWASP's Password Storage Cheat Sheet recommends:
    19 MiB, two passes, one thread. Django's default of 100 MiB and eight threads per hash would
    take every core from the event loop, and a handful of logins would fill the memory."""

    memory_cost = 19 * 1024
    time_cost = 2
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        """Return the hash. A server hashes in its hashing process, other programs in the thread."""
        parameters = self.params()
        encoded = hashing_process.ask(
            "encode",
            password,
            salt,
            parameters.time_cost,
            parameters.memory_cost,
            parameters.parallelism,
            parameters.hash_len,
        )
        if encoded is None:
            return super().encode(password, salt)
        return f"{self.algorithm}{encoded}"

    def verify(self, password: str, encoded: str) -> bool:
        """Return whether this is the hash of the password. It is computed where encode() does."""
        _, _, without_algorithm = encoded.partition("$")
        matches: bool | None = hashing_process.ask("verify", password, f"${without_algorithm}")
        return super().verify(password, encoded) if matches is None else matches


@dataclass(frozen=True)
class Comparison:
    """Whether a password matches a stored hash. `new_hash` replaces the stored one if that was made
    with other parameters than today's."""

    matches: bool
    new_hash: str | None = None


async def start_hashing() -> None:
    """Start a server's hashing process before its first request, unless the settings name another
    hasher, as those of tests do."""
    if isinstance(get_hasher(), Argon2Hasher):
        hashing_process.start()


def normalized(password: str) -> str:
    """Return the password in NFC (RFC 8265, 4.2.2): one keyboard types é as one character and
    another as two, and the user sees the same. Lengths are counted after this.

    A password longer than MAX_RAW_LENGTH is returned unchanged: it is too long in any form, and
    sorting a hundred thousand accents would stop the whole process for seconds.
    """
    return password if len(password) > MAX_RAW_LENGTH else unicodedata.normalize("NFC", password)


def hashed(password: str) -> str:
    """Return the hash to store for a password."""
    return make_password(normalized(password))


def compare(password: str, encoded: str) -> Comparison:
    """Compare a password with a stored hash. This saves no new hash: the stored one may have
    changed meanwhile, and only a caller who holds the user's lock can tell."""
    new_hashes: list[str] = []
    matches = check_password(
        normalized(password), encoded, lambda again: new_hashes.append(make_password(again))
    )
    return Comparison(matches, new_hashes[0] if new_hashes else None)


def compare_with_nothing(password: str) -> None:
    """Take as long as compare() does, for an account that does not exist."""
    hashed(password)


def require_strong(password: str, user: Any, field: str) -> None:
    """Raise Invalid, which names the field, for a password that is too weak for the user."""
    try:
        validate_password(normalized(password), user)
    except ValidationError as error:
        raise Invalid(
            errors=[
                FieldError(field, str(one.message % (one.params or {})), one.code or "invalid")
                for one in error.error_list
            ]
        ) from error
