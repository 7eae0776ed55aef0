"""Django's admin as an app whose site is that of accounts."""

from django.contrib.admin.apps import AdminConfig


class ParleyAdminConfig(AdminConfig):
    """Replaces Django's site with the one that logs moderators in as the API does."""

    default_site = "apps.accounts.admin_site.ParleyAdminSite"
