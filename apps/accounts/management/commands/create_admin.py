"""`manage.py create_admin`: makes the administrators of an installation that has none yet."""

import getpass
import os
import sys
from collections.abc import Callable
from shlex import quote
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rest_framework.exceptions import ValidationError as InvalidInput

from apps.accounts.errors import EmailTaken, NoPromotion, UserDisabled
from apps.accounts.models import User
from apps.accounts.policies import is_promotion
from apps.accounts.serializers import RegisterInput
from apps.accounts.staff import staff_create, staff_promote
from apps.core.errors import Invalid
from apps.core.http.handler import as_domain_error

PASSWORD_VARIABLE = "PARLEY_PASSWORD"  # noqa: S105
WHAT_IS_NEEDED = (
    "Without a terminal give --email and --name, and the password in the first line of standard "
    f"input with --password-stdin, or in the environment as {PASSWORD_VARIABLE}."
)
ROLE_WORDS = {
    User.Role.USER: "a user",
    User.Role.MODERATOR: "a moderator",
    User.Role.ADMIN: "an administrator",
}
# Wrong usage, as argparse says it; a refusal is 1.
USAGE = 2


class Command(BaseCommand):
    """Creates a user with a role, or gives an existing user the role. In a terminal it asks for
    what is not given, and asks again until that is valid."""

    role = User.Role.ADMIN
    help = "Make an administrator. In a terminal this asks for whatever is not given."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what is not to be asked for. A password is no argument: `ps` would show it."""
        parser.add_argument("--email")
        parser.add_argument("--name")
        parser.add_argument(
            "--password-stdin",
            action="store_true",
            help=f"read the password from standard input; it may also be in {PASSWORD_VARIABLE}",
        )
        parser.add_argument(
            "--promote", action="store_true", help="give the role to the user with this address"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the administrator and say where they log in."""
        user = self._made(**options)
        where = f"http://localhost:{settings.SERVER_PORT}/admin/"
        self.stdout.write(
            f"{user} is {ROLE_WORDS[self.role]} and may log in at /admin/ "
            f"(on this machine: {where})."
        )

    def _made(self, *, email: str | None, name: str | None, promote: bool, **options: Any) -> User:
        password = _given_password(from_stdin=options["password_stdin"])
        needed = [email] if promote else [email, name, password]
        asks = sys.stdin.isatty() and not options["password_stdin"]
        if None in needed and not asks:
            raise CommandError(WHAT_IS_NEEDED, returncode=USAGE)
        address = self._value("email", email, lambda: input("E-mail address: "))
        user = User.objects.filter(email=address).first()
        if user is not None:
            return self._promoted(user, promote)
        if promote:
            raise CommandError(f"There is no user {address}; without --promote one is made.")
        return self._created(address, name, password)

    def _created(self, email: str, name: str | None, password: str | None) -> User:
        name = self._value("name", name, lambda: input("Name: "))
        while True:
            valid = self._value("password", password, self._typed_password)
            try:
                return staff_create(name=name, email=email, password=valid, role=self.role)
            except Invalid as error:
                self._refuse(error, given=password)
            except EmailTaken as error:
                raise CommandError(f"{error.message}; nothing was changed.") from error

    def _promoted(self, user: User, promote: bool) -> User:
        found = (
            f"{user} exists already, as {ROLE_WORDS[User.Role(user.role)]} who registered on "
            f"{user.created_at:%Y-%m-%d}."
        )
        if is_promotion(user, self.role) and not promote:
            again = (
                f"{quote(sys.executable)} manage.py create_{self.role} --email {quote(user.email)}"
            )
            raise CommandError(
                f"{found} Nothing was changed. Anybody can register with an address that is not "
                "theirs. If you know that the account is in the right hands, make them "
                f"{ROLE_WORDS[self.role]} with: {again} --promote"
            )
        try:
            staff_promote(user=user, role=self.role)
        except (NoPromotion, UserDisabled) as error:
            raise CommandError(f"{found} {error.message}; nothing was changed.") from error
        return user

    def _value(self, field: str, given: str | None, ask: Callable[[], str]) -> str:
        """Return the value of a field, as registering would take it."""
        while True:
            try:
                typed = ask() if given is None else given
                return str(RegisterInput(partial=True).run_validation({field: typed})[field])
            except InvalidInput as error:
                self._refuse(error, given=given)
            except (EOFError, KeyboardInterrupt) as error:
                raise CommandError("Nothing was changed.") from error

    def _typed_password(self) -> str:
        while True:
            password = getpass.getpass("Password: ")
            if password == getpass.getpass("Password again: "):
                return password
            self.stderr.write("The passwords are not the same.")

    def _refuse(self, error: Exception, *, given: str | None) -> None:
        """Say what is wrong with a value that can be typed again; end the command for another."""
        wrong = " ".join(f"{one.field}: {one.message}" for one in as_domain_error(error).errors)
        if given is not None:
            raise CommandError(f"{wrong} Nothing was changed.")
        self.stderr.write(wrong)


def _given_password(*, from_stdin: bool) -> str | None:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return os.environ.get(PASSWORD_VARIABLE)
