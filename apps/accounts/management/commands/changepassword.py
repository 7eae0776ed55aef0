"""Sets a new password, for a user who has lost theirs or whose account others have used."""

import getpass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rest_framework.exceptions import ValidationError as InvalidInput

from apps.accounts.models import User
from apps.accounts.password_changes import password_set
from apps.accounts.serializers import NewPassword
from apps.core.errors import Invalid
from apps.core.http.handler import as_domain_error


class Command(BaseCommand):
    """Replaces Django's command, which saves the whole row as it was before the operator typed the
    password, and ends no session."""

    help = "Set a new password for a user and end all of their sessions."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the user's e-mail address."""
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask for the password twice and set it."""
        try:
            user = User.objects.get_by_natural_key(options["email"])
        except (User.DoesNotExist, ValidationError) as error:
            raise CommandError("There is no such user.") from error
        try:
            password = getpass.getpass(f"New password of {user}: ")
            again = getpass.getpass("New password again: ")
        except EOFError as error:
            raise CommandError("No password was given; nothing was changed.") from error
        if password != again:
            raise CommandError("The passwords are not the same; nothing was changed.")
        try:
            password_set(user=user, new_password=NewPassword().run_validation(password))
        except (Invalid, InvalidInput) as error:
            sentences = [one.message for one in as_domain_error(error).errors]
            raise CommandError(" ".join(sentences)) from error
        self.stdout.write("The password is changed; log in again everywhere.")
