"""The base of the admin's pages: they read models and write through services."""

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
    """A page whose only writes are its actions, and whose only questions are its own filters."""

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Allow what the links of the page's own filters ask, of columns that they name.

        Django allows any lookup of any column of the model itself, also of one that is not shown:
        `?password__regex=` reads a hash letter by letter. No column holds a NUL, and PostgreSQL
        takes none in a question.
        """
        return "\0" not in value and lookup in {
            f"{column}{question}"
            for column in self.get_list_filter(request)
            for question in ("", "__exact", "__isnull")
        }

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: rows are made by services."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: a form would write past the services."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse likewise."""
        return False

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Do what was chosen to the rows that were; 400 for a key that cannot be one, which
        Django's own would ask the database for."""
        for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
            try:
                self.opts.pk.to_python(key)
            except ValidationError as error:
                raise BadRequest from error
        return super().response_action(request, *args, **kwargs)

    def actor(self, request: HttpRequest) -> Any:
        """Return who acts."""
        return request.user
