"""Users for an installation that is only tried."""

from apps.accounts.errors import EmailTaken
from apps.accounts.logins import user_register
from apps.accounts.models import User
from apps.accounts.sessions import Device

PASSWORD = "parley-demo-2026"  # noqa: S105
NAMES = ("Ada", "Bela", "Chidi", "Dana", "Emeka", "Freya", "Goran", "Hana", "Ines", "Jonas")


def demo_users() -> list[User]:
    """Return the users of the demonstration, in the order of NAMES; none before it was made."""
    return list(User.objects.filter(email__in=map(_email, NAMES)).order_by("name"))


def demo() -> str:
    """Register those who are not there yet and return how to log in as any of them."""
    for name in NAMES:
        try:
            user_register(
                name=name,
                email=_email(name),
                password=PASSWORD,
                device=Device("127.0.0.1", "demo"),
            )
        except EmailTaken:
            continue
    emails = "".join(f"\n  {user.email}" for user in demo_users())
    return f"Log in as any of these with the password {PASSWORD}{emails}"


def _email(name: str) -> str:
    return f"{name.lower()}@demo.example"
