"""The admin's pages as an app: Django's, on a site of our own."""

from django.contrib.admin.apps import AdminConfig


class PagesConfig(AdminConfig):
    """Puts our site in the place of Django's."""

    default_site = "apps.accounts.admin_site.ParleyAdminSite"
