"""Django's admin as an app whose site is that of accounts."""

from django.contrib.admin.apps import AdminConfig


class PagesConfig(AdminConfig):
    """Replaces Django's site with the one that logs moderators in as the API does."""

    default_site = "apps.accounts.pages.Pages"
