"""E-mail addresses: the one spelling of each, in which it is stored and compared."""

import unicodedata
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import BooleanField, Func

LONGEST = 254


class IsPrintableAscii(Func):
    """Whether a text consists of printable ASCII characters, for a constraint."""

    arity = 1
    output_field: "BooleanField[bool, bool]" = BooleanField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return it as PostgreSQL says it."""
        return self.as_sql(compiler, connection, template="%(expressions)s !~ '[^ -~]'")

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return it as SQLite says it."""
        return self.as_sql(compiler, connection, template="%(expressions)s NOT GLOB '*[^ -~]*'")


def canonical_email(address: str) -> str:
    """Return the address in lower case, with its domain in the ASCII form (RFC 5891).

    Whether it is one at all is not looked at. Raises ValidationError for a part before the @ that
    is not printable ASCII: hardly any server takes it, and a long s reads like an s. It does so
    also for a domain whose ASCII form would be that of another one.
    """
    local, at, domain = address.strip().rpartition("@")
    if not (local.isascii() and local.isprintable()):
        raise ValidationError("Use only ASCII characters before the @.", code="not_ascii")
    return f"{local}{at}{_ascii_domain(domain)}".lower()


def _ascii_domain(domain: str) -> str:
    # One that is too long is refused for that, and would take its time here.
    if domain.isascii() or len(domain) > LONGEST:
        return domain
    try:
        encoded = domain.encode("idna")
        # Python knows the rules of 2003 (RFC 3490), which turn faß.de into fass.de.
        same = encoded.decode("idna").lower() == unicodedata.normalize("NFKC", domain).lower()
    except UnicodeError:
        same = False
    if not same:
        raise ValidationError("Write the domain in its ASCII form, xn--….", code="not_ascii")
    return encoded.decode("ascii")
