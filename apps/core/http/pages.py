"""The middleware that only pages need: static files, and Django's own sessions, forms and users,
which the admin uses.

The API takes its user from a token, and its requests pass these by. They stay subclasses of
Django's, since the admin's system checks look for them in MIDDLEWARE.
"""

from typing import Any

import structlog
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.functional import SimpleLazyObject
from whitenoise.middleware import WhiteNoiseMiddleware  # type: ignore[import-untyped]


class PagesOnly:
    """Mixed into a middleware, passes the requests of the API on."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response, which the middleware changes only where it is not the API's."""
        handle = self.get_response if request.path.startswith("/api/") else super().__call__  # type: ignore[misc]
        response: HttpResponseBase = handle(request)
        return response


class PageFiles(PagesOnly, WhiteNoiseMiddleware):  # type: ignore[misc]
    """Serves static files."""


class PageSessions(PagesOnly, SessionMiddleware):
    """Reads and saves the session of Django's pages."""


class PageForms(PagesOnly, CsrfViewMiddleware):
    """Refuses forms that another site sends.

    Django calls its process_view() for the API too, which exempts every view of the API. One that
    does not would be refused, since the request has no token.
    """


class PageUsers(PagesOnly, AuthenticationMiddleware):
    """Finds the user of a session, and tells the log whom a page has found."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> Any:
        """Return the response. A page that asked for no user is not delayed by a search for one."""
        if user_id := _user_of_page(request):
            structlog.contextvars.bind_contextvars(user_id=user_id)
        return response


def _user_of_page(request: HttpRequest) -> str:
    """Return the id of the user that a page has found or logged in, nothing if there is none."""
    # Django keeps here whom it found in the session, also after that user has logged out.
    found = getattr(request, "_cached_user", None)
    if found is None or found.is_anonymous:
        # A login puts the user in place of the object that would look for one.
        found = None if isinstance(request.user, SimpleLazyObject) else request.user
    return "" if found is None or found.is_anonymous else str(found.pk)


class PageMessages(PagesOnly, MessageMiddleware):
    """Keeps messages for the next page."""
