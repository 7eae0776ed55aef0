"""The site of the admin's pages, which treats passwords and sessions as the API does.

A login begins a session, as a login on a device does: the user sees it in their list of sessions
and can end it. Django's own session only holds the id of that session.
"""

from functools import partial
from typing import Any
from uuid import UUID

from django import forms
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from rest_framework.exceptions import ValidationError as InvalidInput

from apps.accounts import logins, password_changes
from apps.accounts.errors import AccountSuspended, InvalidCredentials
from apps.accounts.models import Session, User
from apps.accounts.requests import delay_response, device_of
from apps.accounts.selectors import active_sessions
from apps.accounts.serializers import LoginInput, PasswordChangeInput
from apps.accounts.sessions import session_logout, sessions_touch
from apps.core.errors import DomainError, RateLimited
from apps.core.http.handler import as_domain_error
from apps.core.ratelimit import consume_action
from apps.core.trace import trace

# The key of Django's session under which it holds the id of ours.
SESSION_KEY = "session"


class LoginForm(AdminAuthenticationForm):
    """Accepts the same input as the API's login, under the same limits."""

    # Django's own field would change the typed characters to their NFKC form.
    username = forms.CharField(widget=forms.TextInput(attrs={"autofocus": True}))
    refusal: RateLimited | None = None
    request: Any

    def clean(self) -> dict[str, Any]:
        """Log the user in. A form with an empty field has an error and consumes no limit."""
        email, password = map(self.cleaned_data.get, ("username", "password"))
        if not email or not password:
            return self.cleaned_data
        try:
            self.user_cache = self._log_in(LoginInput.load({"email": email, "password": password}))
        except (InvalidInput, InvalidCredentials) as error:
            raise self.get_invalid_login_error() from error
        except AccountSuspended as error:
            raise ValidationError(error.message, code=error.code) from error
        except RateLimited as error:
            self.refusal = error
            raise ValidationError(error.message) from error
        self.confirm_login_allowed(self.user_cache)
        return self.cleaned_data

    def _log_in(self, given: dict[str, Any]) -> User:
        device = device_of(self.request)
        delay_response(
            self.request, logins.login_attempt(email=given["email"], address=device.address)
        )
        session = logins.moderator_login(**given, device=device)
        # The site stores its id later: Django's own login comes after this, and may empty its
        # session.
        self.request.session_begun = session
        return session.user


class PasswordForm(AdminPasswordChangeForm):
    """Changes a password as the API does. Django's form would save the whole row and end no
    session."""

    FIELDS = {"currentPassword": "old_password", "newPassword": "new_password2"}

    def __init__(self, *args: Any, session_id: UUID, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._session_id = session_id

    def clean_old_password(self) -> str:
        """Return the password unchecked: clean() compares it, after it has consumed the limit."""
        password: str = self.cleaned_data["old_password"]
        return password

    def clean(self) -> dict[str, Any]:
        """Change the password here, because only the change under the lock shows whether it is
        allowed."""
        super().clean()
        if not self.errors:
            try:
                self._change()
            except (InvalidInput, DomainError) as error:
                self._show(as_domain_error(error))
        return self.cleaned_data

    def _show(self, refusal: DomainError) -> None:
        """Show a refusal next to the fields that it names: the page shows no other errors."""
        named = [(self.FIELDS[error.field], error.message) for error in refusal.errors]
        for field, sentence in named or [("old_password", refusal.message)]:
            self.add_error(field, sentence)

    def save(self, commit: bool = True) -> Any:
        """Return the user: clean() has saved them already."""
        return self.user

    def _change(self) -> None:
        consume_action("password", self.user.pk)
        old, new = (self.cleaned_data[name] for name in ("old_password", "new_password1"))
        given = PasswordChangeInput.load({"currentPassword": old, "newPassword": new})
        change = password_changes.password_change_prepare(self.user, **given)
        with transaction.atomic():
            self.user = password_changes.password_change(
                self.user, change=change, session_id=self._session_id
            )
            trace(self.user, self.user, password=("the one before", "another one"))


class ParleyAdminSite(AdminSite):
    """The site that replaces Django's own."""

    site_header = site_title = "Parley"
    login_form = LoginForm
    # There is no other site to view, and the index names the few lists.
    site_url = None
    enable_nav_sidebar = False

    def get_urls(self) -> list[Any]:
        """Return Django's paths without the one that leads from a row to its page outside of the
        admin: no row has one, and it fails for an id that is no UUID."""
        return [one for one in super().get_urls() if getattr(one, "name", "") != "view_on_site"]

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the form or log the user in; 429 for a client that tries too often."""
        response = super().login(request, extra_context)
        begun = getattr(request, "session_begun", None)
        if begun is not None:
            request.session[SESSION_KEY] = str(begun.pk)
        form = (getattr(response, "context_data", None) or {}).get("form")
        if form is not None and form.refusal:
            response.status_code = form.refusal.status
            for name, value in form.refusal.headers.items():
                response[name] = value
        return response

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether the request is a moderator's, in a session that has not ended."""
        return super().has_permission(request) and _session(request) is not None

    def logout(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """End the session, so that a copy of its cookie stops working too."""
        session = _session(request)
        response = super().logout(request, extra_context)
        if request.method == "POST" and session is not None:
            session_logout(session.user, session=session)
        return response

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the form for a new password, or change the password."""
        session_id = UUID(request.session[SESSION_KEY])
        return PasswordChangeView.as_view(
            form_class=partial(PasswordForm, session_id=session_id),
            success_url=reverse("admin:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )(request)


def _session(request: HttpRequest) -> Session | None:
    """Return the session of the request, None if it has ended."""
    session_id = request.session.get(SESSION_KEY)
    if session_id is None:
        return None
    session = active_sessions().filter(pk=session_id, user=request.user.pk).first()
    if session is not None:
        sessions_touch([session])
    return session
