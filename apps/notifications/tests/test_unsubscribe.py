"""A reader stops mails with one click, without a login; who only follows links does not."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from apps.accounts.models import User
from apps.accounts.tests.people import Person, elsewhere
from apps.mail.tests.links import send
from apps.mail.tests.mailbox import Mailbox, text_of
from apps.notifications.models import Preferences
from apps.notifications.services import preferences_change
from apps.notifications.tests.conftest import Clock
from apps.notifications.tests.test_notify import tell, why
from apps.notifications.unsubscribe_links import unsubscribe_url
from testing.client import ContractClient

pytestmark = pytest.mark.django_db

ONE_CLICK = "List-Unsubscribe=One-Click"


def path_of(url: str) -> str:
    split = urlsplit(url)
    return f"{split.path}?{split.query}"


def click(client: ContractClient, path: str) -> Any:
    """Return the response to what a mail program sends when its reader wants no more (RFC 8058)."""
    return client.post(path, ONE_CLICK, content_type="application/x-www-form-urlencoded")


def chosen(alice: Person) -> tuple[bool, list[str]]:
    """Return whether Alice is mailed, and the categories of which no mail is sent to them."""
    found = Preferences.objects.filter(user=alice.user).first() or Preferences()
    return found.email_enabled, found.email_categories_off


def test_one_click_stops_the_mails_of_the_category(
    verified: Person, mailbox: Mailbox, anonymous: ContractClient
) -> None:
    tell([verified])
    [mail] = mailbox.mails()
    assert mail["List-Unsubscribe-Post"] == ONE_CLICK
    [url] = re.findall(r"^ ?<(\S+)>$", mail["List-Unsubscribe"])
    assert url in text_of(mail)
    response = click(anonymous, path_of(url))
    assert response.status_code == 200
    assert "You get no more of these mails." in response.content.decode()
    assert chosen(verified) == (True, ["posts"])
    tell([verified], key="more")
    tell([verified], key="liked", category="likes")
    assert len(mailbox.mails()) == 2
    assert set(
        verified.get("/notifications/preferences").json()["data"]["categories"].values()
    ) == {True}


def test_a_get_changes_nothing_and_its_button_stops_them(
    verified: Person, anonymous: ContractClient
) -> None:
    path = path_of(unsubscribe_url(verified.user.pk, "posts"))
    page = anonymous.get(path)
    assert page.status_code == 200
    html = page.content.decode()
    assert '<form method="post" autocomplete="off">' in html
    assert 'name="token"' not in html
    assert page["Referrer-Policy"] == "no-referrer"
    assert chosen(verified) == (True, [])
    assert anonymous.post(path, {}, format="multipart").status_code == 200
    assert chosen(verified) == (True, ["posts"])


def test_the_link_of_a_digest_stops_all_mails_about_notifications(
    verified: Person, clock: Clock, mailbox: Mailbox, anonymous: ContractClient
) -> None:
    preferences_change(verified.user, digest="daily")
    tell([verified])
    clock.pass_to("01-16 08:01")
    [mail] = mailbox.mails()
    [url] = re.findall(r"^ ?<(\S+)>$", mail["List-Unsubscribe"])
    assert click(anonymous, path_of(url)).status_code == 200
    assert chosen(verified) == (False, [])
    tell([verified], key="more")
    assert [one for one in mailbox.mails() if one is not mail][1:] == []


def test_clicking_twice_changes_it_once(verified: Person, anonymous: ContractClient) -> None:
    path = path_of(unsubscribe_url(verified.user.pk, "posts"))
    for _ in range(2):
        assert click(anonymous, path).status_code == 200
    assert chosen(verified) == (True, ["posts"])


def test_a_click_with_a_body_that_is_no_form_says_what_it_did(
    verified: Person, anonymous: ContractClient
) -> None:
    path = path_of(unsubscribe_url(verified.user.pk, "posts"))
    response = anonymous.post(path, ONE_CLICK, content_type="multipart/form-data")
    assert response.status_code == 200
    assert chosen(verified) == (True, ["posts"])


@pytest.mark.parametrize("change", ["tampered", "of bob", "cut", "none", "long"])
def test_a_token_that_was_changed_is_refused_and_changes_nothing(
    verified: Person, bob: Person, anonymous: ContractClient, change: str
) -> None:
    path = path_of(unsubscribe_url(verified.user.pk, "posts"))
    other = path_of(unsubscribe_url(bob.user.pk, "posts"))
    wrong = {
        "tampered": path[:-1] + ("A" if path[-1] != "A" else "B"),
        "of bob": other.partition("%3A")[0] + "%3A" + path.partition("%3A")[2],
        "cut": path[:-5],
        "none": path.partition("?")[0],
        "long": path + "x" * 300,
    }[change]
    response = click(anonymous, wrong)
    assert response.status_code in {400, 422}
    assert 'role="alert"' in response.content.decode()
    assert not Preferences.objects.exists()


def test_a_user_who_is_gone_is_answered_alike(
    verified: Person, bob: Person, anonymous: ContractClient
) -> None:
    path = path_of(unsubscribe_url(verified.user.pk, "posts"))
    User.objects.filter(pk=verified.user.pk).delete()
    there = click(anonymous, path_of(unsubscribe_url(bob.user.pk, "posts")))
    gone = click(anonymous, path)
    assert gone.status_code == 200
    assert gone.content == there.content


def test_mails_about_the_account_cannot_be_stopped(
    verified: Person, anonymous: ContractClient, mailbox: Mailbox
) -> None:
    send(anonymous, "password/reset", email="alice@example.com")
    [mail] = mailbox.mails()
    assert "List-Unsubscribe" not in mail
    assert "List-Unsubscribe-Post" not in mail
    assert "Stop these mails" not in text_of(mail)


def test_the_clicks_of_one_network_are_limited(verified: Person, settings: Any) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(unsubscribe=1)
    client = ContractClient(REMOTE_ADDR=elsewhere())
    path = path_of(unsubscribe_url(verified.user.pk, "posts"))
    other = path_of(unsubscribe_url(verified.user.pk, "likes"))
    assert [click(client, one).status_code for one in (path, other)] == [200, 429]
    assert chosen(verified) == (True, ["posts"])


def test_a_mail_that_waits_is_not_sent_once_its_kind_is_stopped(
    verified: Person, mailbox: Mailbox, anonymous: ContractClient
) -> None:
    tell([verified])
    click(anonymous, path_of(unsubscribe_url(verified.user.pk, "posts")))
    assert mailbox.mails() == []
    assert why(verified)["email"] == ("skipped", "category_email_off")
