"""The routes of the server, without that of the websocket and those of config/health.py."""

from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularSwaggerView

from apps.core.features import pages
from apps.core.http import views
from config.api import router
from config.documents import asyncapi_yaml, openapi_yaml
from config.realtime_page import realtime_page
from config.redirects import to_page

urlpatterns = [
    path("api/v1", to_page("docs")),
    path("api/v1/", include(router.urls)),
    # Unknown routes of the API. In debug mode Django would show its own page for them.
    re_path(r"^api/", views.unknown_route),
    path("docs/openapi.yaml", openapi_yaml, name="schema"),
    path("docs/asyncapi.yaml", asyncapi_yaml, name="asyncapi"),
    path("docs/realtime", realtime_page, name="realtime"),
    path("docs/index.html", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("docs", to_page("docs")),
    path("docs/", to_page("docs")),
    path("", to_page("docs")),
    *(path(route, view, name=route) for route, view in pages().items()),
    path("admin", to_page("admin:index")),
    path("admin/", admin.site.urls),
]

handler400 = views.bad_request
handler403 = views.permission_denied
handler404 = views.unknown_route
handler500 = views.server_error
