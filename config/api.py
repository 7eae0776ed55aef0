"""The router of the API, with the routes of every feature."""

from rest_framework.routers import SimpleRouter

from apps.core.features import routes

router = SimpleRouter(trailing_slash=False)
for prefix, viewset in routes().items():
    router.register(prefix, viewset, basename=prefix.replace("/", "_"))
