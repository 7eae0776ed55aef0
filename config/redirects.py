"""Redirects from paths that people type to the pages that they expect there."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.csrf import csrf_exempt

from apps.core.http.views import unknown_route


def to_page(name: str) -> Callable[[HttpRequest], HttpResponse]:
    """Return a view that redirects to the page with this name."""

    # A program that sends something here has a wrong path, which a CSRF error would hide.
    @csrf_exempt
    def view(request: HttpRequest) -> HttpResponse:
        if request.method in {"GET", "HEAD"}:
            return redirect(name)
        return unknown_route(request)

    return view
