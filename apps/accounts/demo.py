"""Users for trying out an installation."""

from apps.accounts.errors import EmailTaken
from apps.accounts.logins import user_register
from apps.accounts.models import User
from apps.accounts.sessions import Device

DEMO_PASSWORD = "parley-demo-2026"  # noqa: S105
DEMO_NAMES = ("Ada", "Bela", "Chidi", "Dana", "Emeka", "Freya", "Goran", "Hana", "Ines", "Jonas")


def demo_users() -> list[User]:
    """Return the demo users in the order of DEMO_NAMES; an empty list before demo() has run."""
    return list(User.objects.filter(email__in=map(_email, DEMO_NAMES)).order_by("name"))


def demo() -> str:
    """Register the demo users who do not exist yet, and return how to log in as any of them."""
    for name in DEMO_NAMES:
        try:
            user_register(
                name=name,
                email=_email(name),
                password=DEMO_PASSWORD,
                device=Device("127.0.0.1", "demo"),
            )
        except EmailTaken:
            continue
    emails = "".join(f"\n  {user.email}" for user in demo_users())
    return f"Log in as any of these with the password {DEMO_PASSWORD}{emails}"


def _email(name: str) -> str:
    return f"{name.lower()}@demo.example"
