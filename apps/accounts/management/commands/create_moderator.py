"""`manage.py create_moderator`: makes moderators where nobody can do it in the admin's pages."""

from apps.accounts.management.commands import create_admin
from apps.accounts.models import User


class Command(create_admin.Command):
    """Takes, asks and refuses what create_admin does."""

    role = User.Role.MODERATOR
    help = "Make a moderator. In a terminal this asks for whatever is not given."
