"""The pages that links in mails lead to.

The token is in the fragment of the address, which is in no log and no Referer. A script of the page
writes it into the form; without scripts the reader types it. Opening a page does nothing: mail
scanners follow links, and only the form's button acts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework.exceptions import ValidationError

from apps.core.addresses import network_of
from apps.core.errors import DomainError, MethodNotAllowed
from apps.core.http.handler import as_domain_error
from apps.core.http.middleware import client_address
from apps.core.ratelimit import consume_action
from apps.core.serializers import CamelSerializer
from apps.mail import services
from apps.mail.letters import CHANGE_PAGE, RESET_PAGE, UNDO_PAGE, VERIFY_PAGE
from apps.mail.serializers import NewPasswordInput, TokenInput

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
}


@dataclass(frozen=True)
class LinkPage:
    """A page with a form, which a service answers."""

    title: str
    button: str
    done: str
    act: Callable[..., None]
    input: type[CamelSerializer] = TokenInput
    limit: str = "mail_link"
    # Whether the token is in the query of the address instead. Readers of mail may then act with
    # one POST, without the page (RFC 8058).
    is_in_query: bool = False
    # Whether the form asks for a password, and so the page hashes one.
    hashes: bool = False
    # The token proves more than a cookie would, and readers of mail keep no cookies.
    csrf_exempt: bool = True
    # Its template is given the page itself.
    do_not_call_in_templates: bool = True

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the page: the form, or what became of it."""
        refusal = None
        if request.method == "POST":
            refusal = self._refusal_of(request)
        elif request.method not in {"GET", "HEAD"}:
            refusal = MethodNotAllowed()
        shown: dict[str, Any] = {
            "page": self,
            "is_done": request.method == "POST" and refusal is None,
            "refusal": refusal,
            # A body that is not needed is not read: one that is no form would be refused.
            "token": "" if self.is_in_query else request.POST.get("token", ""),
        }
        response = render(request, "account/link.html", shown, status=_status(refusal))
        for name, value in {**HEADERS, **(refusal.headers if refusal else {})}.items():
            response[name] = value
        return response

    def _refusal_of(self, request: HttpRequest) -> DomainError | None:
        try:
            consume_action(self.limit, network_of(client_address(request)))
            given = request.GET if self.is_in_query else request.POST
            self.act(**self.input.load(given.dict()))
        except (DomainError, ValidationError) as error:
            return as_domain_error(error)
        return None


def _status(refusal: DomainError | None) -> int:
    return refusal.status if refusal else 200


PAGES = {
    VERIFY_PAGE: LinkPage(
        title="Confirm your e-mail address",
        button="Confirm the address",
        done="Your address is confirmed.",
        act=services.email_verify,
    ),
    RESET_PAGE: LinkPage(
        title="Choose a new password",
        button="Save the password",
        done="Your password is changed, and all devices are logged out. Log in with the new one.",
        act=services.password_reset,
        input=NewPasswordInput,
        hashes=True,
    ),
    CHANGE_PAGE: LinkPage(
        title="Confirm your new e-mail address",
        button="Use this address",
        done="This is the address of your account now.",
        act=services.email_change,
    ),
    UNDO_PAGE: LinkPage(
        title="Take the account back",
        button="Take the account back",
        done=(
            "Your account has its old address again, and all devices are logged out. You are mailed"
            " a link to choose a new password."
        ),
        act=services.email_change_undo,
    ),
}
