"""The base of the admin pages: they read models and write through services."""

from collections.abc import Callable, Collection
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, ValidationError
from django.http import HttpRequest, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.http import url_has_allowed_host_and_scheme

from apps.core.errors import DomainError

# Generic for the type checker only.
if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

Action = Callable[[Any, HttpRequest, Any], Any]

# The field of the form by which a moderator confirms an action.
CONFIRMED = "confirmed"


def confirmed(consequence: str) -> Callable[[Action], Action]:
    """Return a decorator of an action: it first answers with a page that names the rows and the
    consequence, and runs once the moderator has confirmed it there."""

    def decorate(action: Action) -> Action:
        @wraps(action)
        def ask_first(self: "ReadOnlyAdmin", request: HttpRequest, rows: Any) -> Any:
            if CONFIRMED in request.POST:
                return action(self, request, rows)
            return self.confirmation(request, rows, action.__name__, consequence)

        return ask_first

    return decorate


class ReadOnlyAdmin(ModelAdmin):
    """A page whose only writes are its actions, and whose only lookups are its own filters.

    The page of a row has a button for each action that applies to it. A button sends the form that
    the list would send for that row, so that an action has one way in.
    """

    change_form_template = "admin/row_page.html"
    # A list has one count, of the rows that it shows, whatever its filters.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    # Hides the link that would choose all rows, on the other pages of the list too.
    actions_selection_counter = False

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["admin_pages.css"]}

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Allow only the lookups that the links of the page's own filters use.

        Django allows every lookup on every column of the model, even on columns that are not shown:
        `?password__regex=` reads a hash letter by letter. A NUL is refused because no column holds
        one and PostgreSQL rejects it in a query.
        """
        return "\0" not in value and lookup in {
            name for one in self.get_list_filter(request) for name in lookups_of(one)
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

    def actions_of(self, request: HttpRequest, row: Any) -> Collection[str]:
        """Return the names of the actions that apply to a row, among those that the list offers."""
        return self.get_actions(request)

    def list_query(self, row: Any) -> str:
        """Return the query with which the list has the row."""
        return ""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Return the list, under the name of what it lists."""
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Add to the page of a row the buttons of its actions."""
        row, offered = context["original"], self._described_actions(request)
        context["list_query"] = self.list_query(row)
        context["row_actions"] = [
            (name, offered[name]) for name in self.actions_of(request, row) if name in offered
        ]
        return super().render_change_form(request, context, *args, **kwargs)

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Run the chosen action on the chosen rows, and return to the page that the form came from.
        Answer 400 if a key is malformed, which Django would send to the database."""
        for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
            try:
                self.opts.pk.to_python(key)
            except ValidationError as error:
                raise BadRequest from error
        # Rows that the moderator has not seen are never meant.
        form = request.POST.copy()
        form["select_across"] = "0"
        request.POST = form  # type: ignore[assignment]
        response = super().response_action(request, *args, **kwargs)
        back = _back(request)
        if back and isinstance(response, HttpResponseRedirect):
            return HttpResponseRedirect(back)
        return response

    def confirmation(
        self, request: HttpRequest, rows: Any, action: str, consequence: str
    ) -> TemplateResponse:
        """Return the page that asks whether to run an action on rows."""
        description = self._described_actions(request)[action]
        context = {
            **self.admin_site.each_context(request),
            "title": f"{description}?",
            "opts": self.opts,
            "media": self.media,
            "rows": rows,
            "consequence": consequence,
            "action": action,
            "description": description,
            "checkbox": ACTION_CHECKBOX_NAME,
            "confirmed": CONFIRMED,
            "back": _back(request),
        }
        return TemplateResponse(request, "admin/confirm_action.html", context)

    def each(
        self, request: HttpRequest, rows: Any, change: Callable[[Any], object], done: str
    ) -> None:
        """Change each row by a service, and show what was done, or why it was refused."""
        for row in rows:
            try:
                change(row)
            except DomainError as refusal:
                self.message_user(request, f"{row}: {refusal.message}.", messages.ERROR)
            else:
                self.message_user(request, f"{row} {done}.")

    def _described_actions(self, request: HttpRequest) -> dict[str, str]:
        """Return the actions that the list offers, by name, with what their buttons say."""
        return {one[1]: one[2] for one in self.get_actions(request).values() if one is not None}

    def actor(self, request: HttpRequest) -> Any:
        """Return the user who acts."""
        return request.user


def _back(request: HttpRequest) -> str:
    """Return the path of this server that the form came from; nothing for any other address."""
    back = str(request.POST.get("back", ""))
    return back if url_has_allowed_host_and_scheme(back, allowed_hosts=None) else ""


def lookups_of(one: Any) -> set[str]:
    """Return the lookups in the links of a filter of a list: a column, or a class with a parameter
    of its own."""
    if isinstance(one, str):
        return {f"{one}{suffix}" for suffix in ("", "__exact", "__isnull")}
    return {one.parameter_name}
