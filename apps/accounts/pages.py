"""The site of the admin's pages: its passwords and sessions go the way of the API's.

Who logs in begins a session as a device does, which is listed and ended with the others. Django's
own session only says which one it is.
"""

from functools import partial
from typing import Any
from uuid import UUID

from django import forms
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from rest_framework.exceptions import ValidationError as InvalidInput

from apps.accounts import logins, services
from apps.accounts.errors import InvalidCredentials
from apps.accounts.models import Session, User
from apps.accounts.requests import device_of, hold_back
from apps.accounts.selectors import active_sessions
from apps.accounts.serializers import LoginInput, PasswordChangeInput
from apps.accounts.sessions import session_logout, session_note_use
from apps.core.errors import DomainError, RateLimited
from apps.core.http.handler import as_domain_error
from apps.core.ratelimit import consume_action

# Where Django's session of a browser holds the id of ours.
SESSION = "session"


class LoginForm(AdminAuthenticationForm):
    """Takes what the API's login takes, under the same limits."""

    # Django's own field would turn what is typed into other characters (NFKC).
    username = forms.CharField(widget=forms.TextInput(attrs={"autofocus": True}))
    refusal: RateLimited | None = None
    request: Any

    def clean(self) -> dict[str, Any]:
        """Find the user. Who leaves a field empty has been told, and it costs nobody anything."""
        email, password = map(self.cleaned_data.get, ("username", "password"))
        if not email or not password:
            return self.cleaned_data
        try:
            self.user_cache = self._user(LoginInput.load({"email": email, "password": password}))
        except (InvalidInput, InvalidCredentials) as error:
            raise self.get_invalid_login_error() from error
        except RateLimited as error:
            self.refusal = error
            raise ValidationError(error.message) from error
        self.confirm_login_allowed(self.user_cache)
        return self.cleaned_data

    def _user(self, given: dict[str, Any]) -> User:
        device = device_of(self.request)
        hold_back(self.request, logins.login_attempt(email=given["email"], address=device.address))
        session = logins.moderator_login(**given, device=device)
        # For the site: Django begins its own only later, and may empty it first.
        self.request.session_begun = session
        return session.user


class PasswordForm(AdminPasswordChangeForm):
    """Changes a password as the API does: Django's would save the whole row, and end no session."""

    FIELDS = {"currentPassword": "old_password", "newPassword": "new_password2"}

    def __init__(self, *args: Any, session_id: UUID, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._session_id = session_id

    def clean_old_password(self) -> str:
        """Leave the comparison to clean(), which counts it first."""
        password: str = self.cleaned_data["old_password"]
        return password

    def clean(self) -> dict[str, Any]:
        """Change it, since whether that can be done shows under the lock only."""
        super().clean()
        if not self.errors:
            try:
                self._change()
            except (InvalidInput, DomainError) as error:
                self._show(as_domain_error(error))
        return self.cleaned_data

    def _show(self, refusal: DomainError) -> None:
        """Show a refusal beside the fields that it names; the page shows no other errors."""
        named = [(self.FIELDS[error.field], error.message) for error in refusal.errors]
        for field, sentence in named or [("old_password", refusal.message)]:
            self.add_error(field, sentence)

    def save(self, commit: bool = True) -> Any:
        """Return the user, who is saved already."""
        return self.user

    def _change(self) -> None:
        consume_action("password", self.user.pk)
        old, new = (self.cleaned_data[name] for name in ("old_password", "new_password1"))
        given = PasswordChangeInput.load({"currentPassword": old, "newPassword": new})
        change = services.password_change_prepare(self.user, **given)
        self.user = services.password_change(self.user, change=change, session_id=self._session_id)


class Pages(AdminSite):
    """The site."""

    site_header = site_title = "Parley"
    login_form = LoginForm

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the form, or let somebody in; 429 for who has tried too often."""
        response = super().login(request, extra_context)
        begun = getattr(request, "session_begun", None)
        if begun is not None:
            request.session[SESSION] = str(begun.pk)
        form = (getattr(response, "context_data", None) or {}).get("form")
        if form is not None and form.refusal:
            response.status_code = form.refusal.status
            for name, value in form.refusal.headers.items():
                response[name] = value
        return response

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether a moderator asks, in a session that has not ended."""
        return super().has_permission(request) and _session(request) is not None

    def logout(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """End the session; a copy of its cookie is of no use either."""
        session = _session(request)
        response = super().logout(request, extra_context)
        if request.method == "POST" and session is not None:
            session_logout(session.user, session=session)
        return response

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show or take the form for a new password."""
        session_id = UUID(request.session[SESSION])
        return PasswordChangeView.as_view(
            form_class=partial(PasswordForm, session_id=session_id),
            success_url=reverse("admin:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )(request)


def _session(request: HttpRequest) -> Session | None:
    """Return the session that the pages are asked in, unless it has ended."""
    session_id = request.session.get(SESSION)
    if session_id is None:
        return None
    session = active_sessions().filter(pk=session_id, user=request.user.pk).first()
    if session is not None:
        session_note_use(session)
    return session
