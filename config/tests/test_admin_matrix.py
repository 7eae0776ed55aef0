"""Who may open which page of the admin and take which action there. A page or an action without a
row here fails, a refusal changes nothing, and a success leaves its entry in the log."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session as Cookie
from django.test import Client, RequestFactory
from django.urls import URLPattern
from django.utils import timezone
from django.utils.html import escape

from apps.accounts.admin_site import SESSION_KEY
from apps.accounts.models import Session, User
from apps.accounts.tests.people import Person, person, set_status
from apps.core.trace import trace
from apps.jobs.models import Job
from apps.notifications.services import notify
from apps.posts.models import Post
from apps.posts.services import post_create, post_delete
from apps.realtime.tests.factories import new_timeline
from config.tests.test_admin import choose

pytestmark = pytest.mark.django_db

ROLES = {"anonymous": None, "user": "user", "moderator": "moderator", "administrator": "admin"}
of_each_role = pytest.mark.parametrize("role", ROLES)

# What a GET answers to each role, in the order of ROLES; 302 leads to the login page.
STAFF = (302, 302, 200, 200)
NOBODY = (302, 302, 403, 403)
SITE = {
    "": STAFF,
    "login/": (200, 200, 302, 302),
    # A GET logs nobody out.
    "logout/": (302, 302, 405, 405),
    "password_change/": STAFF,
    "password_change/done/": STAFF,
    # Nothing is completed, and nothing has a page of its own outside.
    "autocomplete/": NOBODY,
    "jsi18n/": (302, 302, 200, 200),
    "^(?P<app_label>realtime|accounts|admin|jobs|notifications|posts)/$": STAFF,
    "(?P<url>.*)$": (302, 302, 404, 404),
}
OF_A_MODEL = {
    "": STAFF,
    "add/": NOBODY,
    "<path:object_id>/history/": STAFF,
    "<path:object_id>/delete/": NOBODY,
    "<path:object_id>/change/": STAFF,
    # The address of a row before Django 1.9, which leads to its page.
    "<path:object_id>/": (302, 302, 302, 302),
}
OF_ADMINISTRATORS = {
    page: (302, 302, 403, 200) if row == STAFF else row for page, row in OF_A_MODEL.items()
}
# The lists whose app shows them in no index are open all the same.
MODELS = [
    *("accounts/user/", "accounts/session/", "posts/post/", "admin/logentry/"),
    "notifications/notification/",
]
PAGES = (
    SITE
    | {f"{model}{page}": row for model in MODELS for page, row in OF_A_MODEL.items()}
    | {
        f"{model}{page}": row
        for model in ("jobs/job/", "realtime/sockettimeline/")
        for page, row in OF_ADMINISTRATORS.items()
    }
)


@dataclass(frozen=True)
class Action:
    """Which roles may take an action, on which row, what it leaves in the log, whether it asks
    before, and the query of the list that has the row."""

    roles: set[str]
    of: str
    entry: str
    asks: bool = True
    query: str = ""


BOTH, ADMINISTRATORS = {"moderator", "administrator"}, {"administrator"}
ACTIONS = {
    "accounts/user/": {
        "suspend": Action(BOTH, "bob", "status: active → suspended"),
        "ban": Action(ADMINISTRATORS, "bob", "status: active → banned"),
        "reinstate": Action(BOTH, "sam", "status: suspended → active", asks=False),
        "make_user": Action(ADMINISTRATORS, "maud", "role: moderator → user"),
        "make_moderator": Action(ADMINISTRATORS, "bob", "role: user → moderator"),
        "make_administrator": Action(ADMINISTRATORS, "bob", "role: user → admin"),
    },
    "accounts/session/": {"end": Action(BOTH, "session", "session: active on phone → ended")},
    "posts/post/": {
        "delete_posts": Action(BOTH, "post", "status: published → deleted"),
        "restore": Action(
            BOTH, "deleted", "status: deleted → published", asks=False, query="?deleted=yes"
        ),
    },
    "jobs/job/": {
        "retry": Action(ADMINISTRATORS, "job", "status: failed → pending", asks=False),
    },
    "admin/logentry/": {},
    "realtime/sockettimeline/": {},
    "notifications/notification/": {},
}
EACH_ACTION = [(model, name) for model, named in ACTIONS.items() for name in named]


@dataclass
class World:
    """A row of each kind for the actions, and who acts."""

    rows: dict[str, Any]
    actor: Person | None
    browser: Client

    def path(self, page: str) -> str:
        """Return the address of a page, of a row if it is the page of a row."""
        model, _, _ = page.partition("<")
        keys = {
            "accounts/user/": "bob",
            "accounts/session/": "session",
            "posts/post/": "post",
            "jobs/job/": "job",
            "realtime/sockettimeline/": "socket",
            "notifications/notification/": "notification",
        }
        key = self.rows[keys.get(model, "entry")].pk
        for pattern, value in (
            ("<path:object_id>", str(key)),
            ("^(?P<app_label>realtime|accounts|admin|jobs|notifications|posts)/$", "accounts/"),
            ("(?P<url>.*)$", "nothing/"),
        ):
            page = page.replace(pattern, value)
        return f"/admin/{page}"


@pytest.fixture
def world(db: Any, role: str) -> World:
    bob, sam, maud = person("Bob"), person("Sam"), person("Maud", User.Role.MODERATOR)
    set_status(sam.user, User.Status.SUSPENDED)
    sam.user.refresh_from_db()
    post, deleted = (
        post_create(bob.user, title=title, content="Long enough to be one", status="published")
        for title in ("A post", "A deleted post")
    )
    post_delete(bob.user, post_id=deleted.pk)
    trace(maud.user, sam.user, status=("active", "suspended"))
    told = notify([bob.user.pk], "posts", type="test", title="Ahoy", key="ahoy")
    rows = {
        "bob": bob.user,
        "sam": sam.user,
        "maud": maud.user,
        "post": post,
        "deleted": deleted,
        "session": Session.objects.get(user=bob.user),
        "entry": LogEntry.objects.get(),
        "job": failed_job(),
        "socket": new_timeline(bob.user),
        "notification": told[0],
    }
    its_role = ROLES[role]
    actor = None if its_role is None else person("Ada", its_role)
    return World(rows, actor, browser_of(actor))


def failed_job() -> Job:
    """Return a job that failed."""
    now = timezone.now()
    return Job.objects.create(
        task="apps.jobs.upkeep.prune",
        arguments={"args": [], "kwargs": {}},
        queue="upkeep",
        priority=0,
        status="failed",
        max_attempts=3,
        created_at=now,
        finished_at=now,
    )


def browser_of(actor: Person | None) -> Client:
    """Return a browser with a session of the pages; the login page would give a plain user none,
    as if they had been a moderator when they logged in."""
    browser = Client()
    if actor is not None:
        browser.force_login(actor.user)
        cookies = browser.session
        cookies[SESSION_KEY] = str(Session.objects.get(user=actor.user).pk)
        cookies.save()
    return browser


def everything() -> dict[str, list[Any]]:
    """Return all rows of all tables, but those of Django's sessions, which each login writes."""
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in apps.get_models()
        if model is not Cookie
    }


def registered(urls: Any = None, prefix: str = "") -> Iterator[str]:
    """Yield the pattern of every page of the site."""
    for one in admin.site.get_urls() if urls is None else urls:
        pattern = prefix + str(one.pattern)
        if isinstance(one, URLPattern):
            yield pattern
        else:
            yield from registered(one.url_patterns, pattern)


def test_every_page_has_a_row() -> None:
    assert set(registered()) == set(PAGES)


def test_every_action_has_a_row() -> None:
    """What an administrator may take includes the actions of the whole site."""
    request = RequestFactory().get("/admin/")
    request.user = User(role=User.Role.ADMIN)
    found = {
        f"{model._meta.app_label}/{model._meta.model_name}/": {
            *its_admin.get_actions(request),
            *(its_admin.actions or ()),
        }
        for model, its_admin in admin.site._registry.items()
    }
    assert found == {model: set(named) for model, named in ACTIONS.items()}


@of_each_role
def test_each_page_is_open_to_those_of_its_row(world: World, role: str) -> None:
    before, which = everything(), list(ROLES).index(role)
    answers = {page: world.browser.get(world.path(page)) for page in PAGES}
    assert {page: answer.status_code for page, answer in answers.items()} == {
        page: row[which] for page, row in PAGES.items()
    }
    assert everything() == before


@of_each_role
def test_no_form_to_a_page_changes_a_row(world: World, role: str) -> None:
    """Every write is an action, but for logging in and out and the own password: the pages that
    Django has for writing refuse their forms."""
    before = everything()
    for page in PAGES:
        if page not in {"login/", "logout/", "password_change/"}:
            form = {"post": "yes", "role": "admin", "name": "Mallory", "status": "active"}
            world.browser.post(world.path(page), form)
    assert everything() == before


@of_each_role
@pytest.mark.parametrize(("model", "name"), EACH_ACTION)
def test_each_action_is_open_to_those_of_its_row(
    world: World, role: str, model: str, name: str
) -> None:
    action, before = ACTIONS[model][name], everything()
    row = world.rows[action.of]
    page = f"{model}{action.query}"
    if action.asks:
        asked = choose(world.browser, page, name, row)
        assert ("Cancel" in asked.text and escape(row) in asked.text) == (role in action.roles)
        assert everything() == before
    choose(world.browser, page, name, row, confirmed="yes")
    if role not in action.roles:
        assert everything() == before
        return
    entry = LogEntry.objects.exclude(pk=world.rows["entry"].pk).get()
    subject = row.user if isinstance(row, Session) else row
    assert world.actor is not None
    assert entry.user_id == world.actor.user.pk
    assert (entry.get_edited_object(), entry.change_message) == (subject, action.entry)
    assert everything() != before


@pytest.mark.parametrize("role", ["moderator"])
@pytest.mark.parametrize("above", [User.Role.MODERATOR, User.Role.ADMIN])
def test_a_moderator_does_nothing_to_another_one(world: World, above: str) -> None:
    ben = person("Ben", above)
    before = everything()
    for name in ACTIONS["accounts/user/"]:
        choose(world.browser, "accounts/user/", name, ben.user, confirmed="yes")
    its_session = Session.objects.get(user=ben.user)
    choose(world.browser, "accounts/session/", "end", its_session, confirmed="yes")
    page = world.browser.get(f"/admin/accounts/user/{ben.id}/change/")
    assert 'name="action"' not in page.text
    assert everything() == before


@pytest.mark.parametrize("role", ["administrator"])
def test_an_administrator_cannot_lock_themselves_out(world: World) -> None:
    assert world.actor is not None
    before = everything()
    for name in ACTIONS["accounts/user/"]:
        choose(world.browser, "accounts/user/", name, world.actor.user, confirmed="yes")
    assert everything() == before


def test_a_page_and_an_action_without_a_row_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    registry: dict[Any, Any] = admin.site._registry
    monkeypatch.setitem(registry, Cookie, admin.ModelAdmin(Cookie, admin.site))
    assert "sessions/session/add/" in set(registered())
    monkeypatch.setattr(type(registry[Post]), "actions", ("restore", "new"))
    with pytest.raises(AssertionError):
        test_every_action_has_a_row()
    with pytest.raises(AssertionError):
        test_every_page_has_a_row()
