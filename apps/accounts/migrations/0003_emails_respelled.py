"""Rewrites stored e-mail addresses in their canonical spelling."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import migrations
from django.db.models import Q

from apps.accounts.emails import IsPrintableAscii, canonical_email


def respell(apps: Any, schema_editor: Any) -> None:
    """Rewrite the domains in ASCII; raise ValueError for addresses without such a spelling."""
    users = apps.get_model("accounts", "User").objects
    stuck = []
    for user in users.filter(~Q(IsPrintableAscii("email"))):
        try:
            address = canonical_email(user.email)
        except ValidationError:
            stuck.append(user)
            continue
        if users.filter(email=address).exists():
            stuck.append(user)
        else:
            users.filter(pk=user.pk).update(email=address)
    if stuck:
        raise ValueError(
            "Addresses may only have ASCII characters before the @, and one domain has one"
            " spelling. Give these users other addresses or delete them, then migrate again: "
            + ", ".join(f"{user.pk} {user.email}" for user in stuck)
        )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_session_previous_jti")]

    operations = [migrations.RunPython(respell, migrations.RunPython.noop, elidable=True)]
