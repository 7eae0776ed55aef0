"""`manage.py erase_user`: erases all that is kept of a user."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.erasing import Erasure, user_erase
from apps.accounts.erasure_log import erasure_log
from apps.accounts.errors import UserNotFound
from apps.accounts.models import User
from apps.accounts.selectors import user_named


class Command(BaseCommand):
    """Erases a user."""

    help = (
        "Erase all that is kept of a user, for good, and check that nothing is left. Others keep "
        "their conversations, without the user's words. A restore of a backup repeats it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the user."""
        parser.add_argument("user", help="their id or e-mail address")
        parser.add_argument("--no-input", action="store_false", dest="ask", help="Do not ask.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Erase the user, say what was erased, and fail if their id is found after that."""
        user = user_named(options["user"])
        if user is None:
            raise CommandError(f"There is no user {options['user']}.")
        if options["ask"]:
            self._ask(user)
        try:
            self._report(user_erase(user.pk))
        except UserNotFound as error:
            raise CommandError(f"Another erasure was quicker: {user} is gone.") from error
        except BlockingIOError as error:
            raise CommandError(
                "Another erasure runs. When it has ended try again; nothing was erased."
            ) from error
        except OSError as error:
            raise CommandError(
                f"{erasure_log()} cannot be written, and nothing was erased: "
                f"{error.strerror or error}."
            ) from error

    def _ask(self, user: User) -> None:
        self.stdout.write(
            f"All that is kept of {user}, registered on {user.created_at:%Y-%m-%d}, will be erased "
            f"for good. To give them a copy before: manage.py export_user {user.email}"
        )
        if not sys.stdin.isatty():
            raise CommandError("Nobody can be asked here. To go on without a question: --no-input.")
        if input("Type yes to go on: ").strip().lower() != "yes":
            raise CommandError("Nothing was changed.")

    def _report(self, erasure: Erasure) -> None:
        for name, count in erasure.erased.items():
            self.stdout.write(f"{count:,} {name}")
        self.stdout.write(f"The user {erasure.user} (SHA-256 of the id) is erased.")
        if not erasure.remains:
            self.stdout.write("Their id and e-mail address are found in no table.")
            return
        where = ", ".join(f"{count:,} rows of {name}" for name, count in erasure.remains.items())
        raise CommandError(
            f"Their id or e-mail address is still found in {where}. What others have written about "
            "them is for you to judge."
        )
