"""The admin's pages: moderators see the rows, and act on them through the services."""

from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import Session, User
from apps.accounts.tests.people import PASSWORD, Person, person, set_status
from apps.posts.models import Post
from apps.posts.services import post_create
from apps.realtime.models import LoggedEvent

pytestmark = pytest.mark.django_db


def pages_of(person: Person) -> Client:
    browser = Client()
    form = {"username": person.user.email, "password": PASSWORD, "next": "/admin/"}
    browser.post("/admin/login/", form)
    return browser


def act(browser: Client, page: str, action: str, *rows: Any) -> Any:
    form = {"action": action, "_selected_action": [row.pk for row in rows]}
    return browser.post(f"/admin/{page}/", form, follow=True)


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
    act(pages_of(moderator), "accounts/user", "suspend", bob.user)
    assert bob.get("/auth/profile").status_code == 401
    assert not Session.objects.filter(user=bob.user, ended_at=None).exists()
    act(pages_of(moderator), "accounts/user", "reinstate", bob.user)
    assert bob.another_device().get("/auth/profile").status_code == 200


def test_a_moderator_cannot_suspend_a_moderator_or_themselves(
    moderator: Person, bob: Person
) -> None:
    User.objects.filter(pk=bob.user.pk).update(role=User.Role.MODERATOR)
    page = act(pages_of(moderator), "accounts/user", "suspend", bob.user, moderator.user)
    assert page.text.count("You may not do this") == 2
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
    page = act(pages_of(moderator), "accounts/user", action, bob.user)
    assert f"You may not do this to Bob, who is {status}." in page.text
    assert status_of(bob) == status


def test_only_administrators_may_ban(moderator: Person, administrator: Person, bob: Person) -> None:
    page = act(pages_of(moderator), "accounts/user", "ban", bob.user)
    assert "Ban: end every session" not in page.text
    assert status_of(bob) == User.Status.ACTIVE
    page = act(pages_of(administrator), "accounts/user", "ban", bob.user, administrator.user)
    assert "Ban: end every session" in page.text
    assert "Bob is banned." in page.text
    assert (status_of(bob), status_of(administrator)) == (User.Status.BANNED, User.Status.ACTIVE)
    assert bob.get("/auth/profile").status_code == 401
    act(pages_of(administrator), "accounts/user", "reinstate", bob.user)
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
    act(pages_of(moderator), "posts/post", "delete_posts", post)
    assert Post.objects.get(pk=post.pk).deleted_at is not None
    assert LoggedEvent.objects.get(subject=post.pk).data["post"]["excerpt"] == ""
