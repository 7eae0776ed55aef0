"""Users for trying out an installation."""

from contextlib import suppress

from django.conf import settings

from apps.accounts.errors import EmailTaken
from apps.accounts.logins import user_register
from apps.accounts.models import User
from apps.accounts.sessions import Device
from apps.accounts.staff import staff_create

DEMO_PASSWORD = "parley-demo-2026"  # noqa: S105
DEMO_NAMES = ("Ada", "Bela", "Chidi", "Dana", "Emeka", "Freya", "Goran", "Hana", "Ines", "Jonas")
DEMO_MODERATOR = "moderator@demo.example"


def demo_users() -> list[User]:
    """Return the demo users in the order of DEMO_NAMES; an empty list before demo() has run."""
    return list(User.objects.filter(email__in=map(_email, DEMO_NAMES)).order_by("name"))


def demo() -> str:
    """Create the demo users and their moderator, as far as they do not exist yet, and return how to
    log in as any of them."""
    for name in DEMO_NAMES:
        with suppress(EmailTaken):
            user_register(
                name=name,
                email=_email(name),
                password=DEMO_PASSWORD,
                device=Device("127.0.0.1", "demo"),
            )
    with suppress(EmailTaken):
        staff_create(
            name="Mona", email=DEMO_MODERATOR, password=DEMO_PASSWORD, role=User.Role.MODERATOR
        )
    emails = "".join(f"\n  {user.email}" for user in demo_users())
    return (
        f"Log in as any of these with the password {DEMO_PASSWORD}{emails}\n"
        f"At http://localhost:{settings.SERVER_PORT}/admin/ moderate with the same password as\n"
        f"  {DEMO_MODERATOR}"
    )


def _email(name: str) -> str:
    return f"{name.lower()}@demo.example"
