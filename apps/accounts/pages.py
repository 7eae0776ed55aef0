"""The site of the admin's pages: its passwords go the way of the API's."""

from typing import Any

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
from apps.accounts.models import User
from apps.accounts.requests import hold_back
from apps.accounts.serializers import LoginInput, PasswordChangeInput
from apps.core.errors import DomainError, RateLimited
from apps.core.handler import as_domain_error
from apps.core.middleware import client_address
from apps.core.ratelimit import spend_action


class LoginForm(AdminAuthenticationForm):
    """Takes what the API's login takes, under the same limits."""

    # Django's own field would turn what is typed into other characters (NFKC).
    username = forms.CharField(widget=forms.TextInput(attrs={"autofocus": True}))
    refusal: RateLimited | None = None

    def clean(self) -> dict[str, Any]:
        """Find the user. Who leaves a field empty has been told, and it costs nobody anything."""
        email, password = map(self.cleaned_data.get, ("username", "password"))
        if not email or not password:
            return self.cleaned_data
        try:
            self.user_cache = self._user(LoginInput.read({"email": email, "password": password}))
        except (InvalidInput, InvalidCredentials) as error:
            raise self.get_invalid_login_error() from error
        except RateLimited as error:
            self.refusal = error
            raise ValidationError(error.message) from error
        self.confirm_login_allowed(self.user_cache)
        return self.cleaned_data

    def _user(self, given: dict[str, Any]) -> User:
        assert self.request is not None
        address = client_address(self.request)
        hold_back(self.request, logins.login_attempt(email=given["email"], address=address))
        return logins.user_of_credentials(**given)


class PasswordForm(AdminPasswordChangeForm):
    """Changes a password as the API does: Django's would save the whole row, and end no session."""

    FIELDS = {"currentPassword": "old_password", "newPassword": "new_password2"}

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
        spend_action("password", self.user.pk)
        old, new = (self.cleaned_data[name] for name in ("old_password", "new_password1"))
        given = PasswordChangeInput.read({"currentPassword": old, "newPassword": new})
        change = services.password_change_prepare(user=self.user, **given)
        self.user = services.password_change(change=change)


class Pages(AdminSite):
    """The site."""

    site_header = site_title = "Parley"
    login_form = LoginForm

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the form, or let somebody in; 429 for who has tried too often."""
        response = super().login(request, extra_context)
        form = (getattr(response, "context_data", None) or {}).get("form")
        if form is not None and form.refusal:
            response.status_code = form.refusal.status
            for name, value in form.refusal.headers.items():
                response[name] = value
        return response

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show or take the form for a new password."""
        return PasswordChangeView.as_view(
            form_class=PasswordForm,
            success_url=reverse("admin:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )(request)
