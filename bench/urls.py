"""Parley's URLs and a trivial one."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from config.urls import handler400, handler403, handler404, handler500, urlpatterns

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


def trivial(request: HttpRequest) -> HttpResponse:
    """Response at once."""
    return HttpResponse("ok", content_type="text/plain")


urlpatterns = [path("trivial", trivial), *urlpatterns]
