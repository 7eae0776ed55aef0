"""The base of the admin pages: they read models and write through services."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, ValidationError
from django.http import HttpRequest

# Generic for the type checker only.
if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """A page whose only writes are its actions, and whose only lookups are its own filters."""

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Allow only the lookups that the links of the page's own filters use.

        Django allows every lookup on every column of the model, even on columns that are not shown:
        `?password__regex=` reads a hash letter by letter. A NUL is refused because no column holds
        one and PostgreSQL rejects it in a query.
        """
        return "\0" not in value and lookup in {
            f"{column}{suffix}"
            for column in self.get_list_filter(request)
            for suffix in ("", "__exact", "__isnull")
        }

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: services create rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: a form would bypass the services."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: services delete rows."""
        return False

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Run the chosen action on the chosen rows; answer 400 if a key is malformed, which Django
        would send to the database."""
        for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
            try:
                self.opts.pk.to_python(key)
            except ValidationError as error:
                raise BadRequest from error
        return super().response_action(request, *args, **kwargs)

    def actor(self, request: HttpRequest) -> Any:
        """Return the user who acts."""
        return request.user
