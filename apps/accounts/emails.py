"""E-mail addresses: each has one canonical spelling, which is stored and compared."""

import unicodedata
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import BooleanField, Func

MAX_EMAIL_LENGTH = 254


class IsPrintableAscii(Func):
    """Whether a text consists of printable ASCII characters, for a constraint."""

    arity = 1
    output_field: "BooleanField[bool, bool]" = BooleanField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return the SQL for PostgreSQL."""
        return self.as_sql(compiler, connection, template="%(expressions)s !~ '[^ -~]'")

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return the SQL for SQLite."""
        return self.as_sql(compiler, connection, template="%(expressions)s NOT GLOB '*[^ -~]*'")


def canonical_email(address: str) -> str:
    """Return the address in lower case, with its domain in the ASCII form (RFC 5891).

    This does not check that the address is valid. It raises ValidationError if the part before the
    @ is not printable ASCII: hardly any mail server accepts such an address, and some characters
    look alike, such as a long s and an s. It also raises ValidationError for a domain whose ASCII
    form would be that of another domain.
    """
    local, at, domain = address.strip().rpartition("@")
    if not (local.isascii() and local.isprintable()):
        raise ValidationError("Use only ASCII characters before the @.", code="not_ascii")
    return f"{local}{at}{_ascii_domain(domain)}".lower()


def _ascii_domain(domain: str) -> str:
    # The caller refuses a domain that is too long, and encoding it here would take long.
    if domain.isascii() or len(domain) > MAX_EMAIL_LENGTH:
        return domain
    try:
        encoded = domain.encode("idna")
        # Python implements the rules of 2003 (RFC 3490), which turn faß.de into fass.de.
        same = encoded.decode("idna").lower() == unicodedata.normalize("NFKC", domain).lower()
    except UnicodeError:
        same = False
    if not same:
        raise ValidationError("Write the domain in its ASCII form, xn--….", code="not_ascii")
    return encoded.decode("ascii")
