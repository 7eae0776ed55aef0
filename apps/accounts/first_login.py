"""What the first login of a process loads, in up to a tenth of a second of processor time."""

from django.contrib.auth.models import AnonymousUser
from django.template.loader import get_template

from apps.accounts.admin_site import LoginForm
from apps.accounts.serializers import LoginInput


async def prepare_first_login() -> None:
    """Compile the pattern of e-mail addresses, and the templates of the admin's login page and of
    its errors, so that no client waits for that."""
    LoginInput.load({"email": "nobody@example.com", "password": "nothing"})
    page = get_template("admin/login.html")
    page.render({"form": LoginForm(data={}), "user": AnonymousUser()})
