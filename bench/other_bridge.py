"""The usual bridge instead of our own: a2wsgi in front of the same WSGI application."""

from config.wsgi import application as wsgi_application  # isort: skip  (it sets Django up)

from a2wsgi import WSGIMiddleware
from django.conf import settings

application = WSGIMiddleware(
    wsgi_application,  # type: ignore[arg-type]  # Django's handler is typed as for itself only.
    workers=settings.HTTP_THREADS,
)
