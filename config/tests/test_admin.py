"""The admin's pages: moderators see the rows, and act on them through the services."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from apps.accounts.models import Session, User
from apps.accounts.tests.people import PASSWORD, Person, person, set_status
from apps.posts.models import Post
from apps.posts.services import post_create
from apps.realtime.models import LoggedEvent
from testing.client import ContractClient
from testing.queries import statements

pytestmark = pytest.mark.django_db


def pages_of(person: Person) -> Client:
    browser = Client()
    form = {"username": person.user.email, "password": PASSWORD, "next": "/admin/"}
    browser.post("/admin/login/", form)
    return browser


def act(browser: Client, page: str, action: str, *rows: Any, **more: str) -> Any:
    """Return the response to an action that the moderator has confirmed."""
    return choose(browser, page, action, *rows, confirmed="yes", **more)


def choose(browser: Client, page: str, action: str, *rows: Any, **more: str) -> Any:
    form = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    return browser.post(f"/admin/{page}", form, follow=True)


def test_only_moderators_may_log_in(moderator: Person, bob: Person) -> None:
    assert pages_of(moderator).get("/admin/").status_code == 200
    assert pages_of(bob).get("/admin/").status_code == 302


def test_every_list_and_page_opens(moderator: Person, bob: Person) -> None:
    post = post_create(bob.user, title="A title", content="Long enough to be one")
    browser = pages_of(moderator)
    for page in ("accounts/user", "posts/post"):
        assert browser.get(f"/admin/{page}/?q=a").status_code == 200
    assert "md5$" not in browser.get(f"/admin/accounts/user/{bob.id}/change/").text
    assert browser.get(f"/admin/posts/post/{post.pk}/change/").status_code == 200


def test_a_suspended_user_is_out_at_once(moderator: Person, bob: Person) -> None:
    act(pages_of(moderator), "accounts/user/", "suspend", bob.user)
    assert bob.get("/auth/profile").status_code == 401
    assert not Session.objects.filter(user=bob.user, ended_at=None).exists()
    act(pages_of(moderator), "accounts/user/", "reinstate", bob.user)
    assert bob.another_device().get("/auth/profile").status_code == 200


def test_a_moderator_cannot_suspend_a_moderator_or_themselves(
    moderator: Person, bob: Person
) -> None:
    User.objects.filter(pk=bob.user.pk).update(role=User.Role.MODERATOR)
    page = act(pages_of(moderator), "accounts/user/", "suspend", bob.user, moderator.user)
    assert page.text.count("You may not set this user&#x27;s status.") == 2
    assert User.objects.filter(status=User.Status.ACTIVE).count() == 2
    assert bob.get("/auth/profile").status_code == 200


@pytest.fixture
def administrator(db: Any) -> Person:
    return person("Ada", User.Role.ADMIN)


def status_of(person: Person) -> str:
    return User.objects.get(pk=person.user.pk).status


@pytest.mark.parametrize("status", [User.Status.BANNED, User.Status.PENDING])
@pytest.mark.parametrize("action", ["reinstate", "suspend"])
def test_a_moderator_cannot_reinstate_a_banned_or_pending_user(
    moderator: Person, bob: Person, action: str, status: str
) -> None:
    set_status(bob.user, status)
    page = act(pages_of(moderator), "accounts/user/", action, bob.user)
    assert "You may not set this user&#x27;s status." in page.text
    assert status_of(bob) == status


def test_only_administrators_may_ban(moderator: Person, administrator: Person, bob: Person) -> None:
    page = act(pages_of(moderator), "accounts/user/", "ban", bob.user)
    assert 'value="ban"' not in page.text
    assert status_of(bob) == User.Status.ACTIVE
    page = act(pages_of(administrator), "accounts/user/", "ban", bob.user, administrator.user)
    assert 'value="ban"' in page.text
    assert "Bob &lt;bob@example.com&gt; is banned." in page.text
    assert (status_of(bob), status_of(administrator)) == (User.Status.BANNED, User.Status.ACTIVE)
    assert bob.get("/auth/profile").status_code == 401
    act(pages_of(administrator), "accounts/user/", "reinstate", bob.user)
    assert status_of(bob) == User.Status.ACTIVE


def test_a_moderator_cannot_edit_or_add_rows(moderator: Person, bob: Person) -> None:
    browser = pages_of(moderator)
    change = f"/admin/accounts/user/{bob.id}/change/"
    assert browser.post(change, {"role": "admin"}).status_code == 403
    assert browser.get("/admin/accounts/user/add/").status_code == 403
    assert User.objects.get(pk=bob.user.pk).role == User.Role.USER


def test_deleting_a_post_redacts_the_log(moderator: Person, bob: Person) -> None:
    content = "Long enough to be one"
    post = post_create(bob.user, title="A title", content=content, status="published")
    act(pages_of(moderator), "posts/post/", "delete_posts", post)
    assert Post.objects.get(pk=post.pk).deleted_at is not None
    assert LoggedEvent.objects.get(subject=post.pk).data["post"]["excerpt"] == ""


def test_the_page_of_a_user_shows_what_a_moderator_needs(moderator: Person, bob: Person) -> None:
    browser, page = pages_of(moderator), f"/admin/accounts/user/{bob.id}/change/"
    moderator.post(f"/users/{bob.id}/follow")
    shown = browser.get(page).text
    assert "follows 0, followed by 1, has blocked 0, blocked by 0" in shown
    for part in ("Bob", "bob@example.com", "Active", "phone", "Created at", "127.0.0.1"):
        assert part in shown
    assert "Version" not in shown
    assert f"/admin/posts/post/?author={bob.id}" in shown
    buttons = re.findall(r'name="action" value="(\w+)"', shown)
    assert buttons == ["suspend", "end"]


def test_a_button_of_a_page_leads_back_to_it(moderator: Person, bob: Person) -> None:
    browser, page = pages_of(moderator), f"/admin/accounts/user/{bob.id}/change/"
    asked = choose(browser, "accounts/user/", "suspend", bob.user, back=page)
    assert f'name="back" value="{page}"' in asked.text
    done = choose(browser, "accounts/user/", "suspend", bob.user, back=page, confirmed="yes")
    assert done.redirect_chain == [(page, 302)]
    assert 'value="reinstate"' in done.text
    elsewhere = choose(
        browser, "accounts/user/", "reinstate", bob.user, back="https://elsewhere.example/"
    )
    assert elsewhere.redirect_chain == [("/admin/accounts/user/", 302)]
    asked = choose(browser, "accounts/user/", "suspend", bob.user, back="javascript:alert(1)")
    assert "javascript:" not in asked.text


def test_a_session_is_ended_from_the_page_of_its_user(moderator: Person, bob: Person) -> None:
    tablet = bob.another_device()
    act(pages_of(moderator), "accounts/session/", "end", Session.objects.get(user_agent="tablet"))
    assert tablet.get("/auth/profile").status_code == 401
    assert bob.get("/auth/profile").status_code == 200


def test_a_session_that_is_over_leaves_no_entry(moderator: Person, bob: Person) -> None:
    session = Session.objects.get(user=bob.user)
    bob.post("/auth/logout")
    page = act(pages_of(moderator), "accounts/session/", "end", session)
    assert "Session not found." in page.text
    assert not LogEntry.objects.exists()


def test_rows_that_were_not_shown_are_not_chosen(
    moderator: Person, bob: Person, alice: Person
) -> None:
    """Django's own lists have a link that chooses the rows of all pages."""
    act(pages_of(moderator), "accounts/user/", "suspend", bob.user, select_across="1")
    assert [status_of(bob), status_of(alice)] == [User.Status.SUSPENDED, User.Status.ACTIVE]


def test_deleted_posts_are_listed_and_restored(
    moderator: Person, bob: Person, anonymous: ContractClient
) -> None:
    content = "Long enough to be one"
    post = post_create(bob.user, title="A title", content=content, status="published")
    browser = pages_of(moderator)
    act(browser, "posts/post/", "delete_posts", post)
    assert "A title" not in browser.get("/admin/posts/post/").text.partition("result_list")[2]
    assert "A title" in browser.get("/admin/posts/post/?deleted=yes").text
    page = browser.get(f"/admin/posts/post/{post.pk}/change/").text
    assert re.findall(r'name="action" value="(\w+)"', page) == ["restore"]
    assert 'action="/admin/posts/post/?deleted=yes"' in page
    act(browser, "posts/post/?deleted=yes", "restore", post)
    assert anonymous.get(f"/api/v1/posts/{post.pk}").json()["data"]["content"] == content
    assert LoggedEvent.objects.get(subject=post.pk).data["post"]["excerpt"] == content
    history = browser.get(f"/admin/posts/post/{post.pk}/history/").text
    assert "status: published → deleted" in history
    assert "status: deleted → published" in history


def test_the_list_of_the_posts_of_an_author(moderator: Person, bob: Person, alice: Person) -> None:
    for author in (bob, alice):
        post_create(author.user, title=f"By {author.user.name}", content="Long enough to be one")
    shown = pages_of(moderator).get(f"/admin/posts/post/?author={bob.id}").text
    assert "By Bob" in shown
    assert "By Alice" not in shown


@pytest.mark.parametrize(
    "page",
    [
        "accounts/user/",
        "accounts/session/",
        "posts/post/",
        "posts/post/?deleted=yes",
        "admin/logentry/",
    ],
)
def test_a_list_sends_as_many_queries_however_many_rows_it_has(
    moderator: Person, page: str
) -> None:
    """The session of the browser, its user, twice the session of the pages, a count, and the
    rows."""
    browser = pages_of(moderator)
    for number in range(3):
        author = person(f"Author{number}")
        _, deleted = (
            post_create(author.user, title="A title", content="Long enough to be one")
            for _ in range(2)
        )
        act(browser, "posts/post/", "delete_posts", deleted)
        browser.get(f"/admin/{page}")
        with statements() as sent:
            browser.get(f"/admin/{page}")
        assert len(sent) == 6, sent
