"""Alice is told of a login on a device that was not seen before."""

import pytest

from apps.accounts.logins import user_login
from apps.accounts.sessions import Device
from apps.accounts.tests.people import PASSWORD, Person
from apps.mail.tests.mailbox import Mailbox, text_of

ALICE = "alice@example.com"


def log_in(address: str, user_agent: str) -> None:
    device = Device(address, user_agent)
    user_login(email=ALICE, password=PASSWORD, device=device)


@pytest.mark.parametrize(
    ("address", "user_agent", "is_new"),
    [
        ("127.0.0.1", "phone", False),
        ("127.0.0.1", "tablet", True),
        ("203.0.113.7", "phone", True),
    ],
)
def test_a_device_is_a_program_in_a_network(
    alice: Person, mailbox: Mailbox, address: str, user_agent: str, is_new: bool
) -> None:
    for _ in range(2):
        log_in(address, user_agent)
    mails = mailbox.mails(ALICE)
    assert len(mails) == int(is_new)
    if is_new:
        assert f"Device: {user_agent}\n\nNetwork address: {address}" in text_of(mails[0])


def test_another_address_of_one_ipv6_network_is_the_same_device(
    alice: Person, mailbox: Mailbox
) -> None:
    log_in("2001:db8::1", "phone")
    log_in("2001:db8::2", "phone")
    assert len(mailbox.mails(ALICE)) == 1


def test_a_device_of_bob_is_new_for_alice(alice: Person, bob: Person, mailbox: Mailbox) -> None:
    bob.another_device()
    log_in("::1", "tablet")
    assert len(mailbox.mails(ALICE)) == 1
    assert mailbox.mails("bob@example.com") == []


def test_the_html_escapes_what_the_device_calls_itself(alice: Person, mailbox: Mailbox) -> None:
    log_in("203.0.113.7", "<b>tablet</b>")
    html = mailbox.latest(ALICE).get_body(("html",))
    assert html is not None
    assert "&lt;b&gt;tablet" in html.get_content()
