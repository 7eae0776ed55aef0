"""static/parley/realtime.js in a real browser: nothing is lost, doubled or out of order."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.chat.models import Message
from apps.realtime.event_log import epochs_renew
from config.tests.pages import section
from testing.api_document import api_document
from testing.browser import Browser, BrowserUnavailable, Page, Profile, browser
from testing.proxy import Proxy
from testing.server import ServerProcess, until

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

# A page of the server, to which tests add the code of an application.
PAGE = "/docs/realtime"
# What such an application remembers, for the tests to look at.
APPLICATION = """
(async () => {
  const { connect, LIMITS, SECONDS } = await import(`${from}/static/parley/realtime.js`);
  Object.assign(SECONDS, { longest: 0.3, restarting: [0, 0.3], ...seconds });
  Object.assign(window, { LIMITS, got: [], sent: [], states: [], codes: [] });
  Object.assign(window, { fetched: [], tokens: [] });
  const options = {
    userId: user,
    token: (refused) => { tokens.push(refused); return wrong && !refused ? wrong : token; },
    refetch: (streams) => {
      fetched.push(...streams);
      return window.load?.(streams);
    },
  };
  window.parley = connect(url ? { ...options, url } : options);
  parley.on("state", ({ state, code }) => { states.push(state); codes.push(code); });
  parley.on("chat_message", ({ message }) => got.push(message.content));
  parley.on("chat_message_sent", ({ message }) => sent.push(message.content));
  window.trySay = (content) => parley.send("chat_message", { receiverId: peer, content });
  window.say = (contents) => contents.forEach((content) => trySay(content).catch(() => {}));
})()
"""
# No websocket opens, as behind a proxy that knows none: nothing listens on this port.
WITHOUT_SOCKETS = """
window.WebSocket = class extends (window.Untouched = WebSocket) {
  constructor() { super("ws://127.0.0.1:9/"); }
}
"""
# The network loses the frames of which a test says so, and delivers all others twice.
BAD_NETWORK = """
window.WebSocket = class extends WebSocket {
  set onmessage(handler) {
    super.onmessage = handler && ((event) => {
      if (window.loses(JSON.parse(event.data))) return;
      handler(event);
      handler(event);
    });
  }
}
"""
# How often the page has asked for events over HTTP.
COUNTED = """
window.polls = 0, window.counted = fetch,
fetch = (url, options) => (polls += url.includes("/events"), counted(url, options))
"""
# How long the page has decided to wait, in milliseconds.
TIMED = """
window.waits = [], window.timer = setTimeout,
setTimeout = (act, wait) => (waits.push(wait), timer(act, wait))
"""
OFFLINE = "window.online = fetch, fetch = () => Promise.reject(new TypeError())"
# The sockets of the page are there for a test to close them, as the server does.
REMEMBERED = """
window.sockets = [],
window.WebSocket = class extends WebSocket {
  at = (sockets.push(this), performance.now());
}
"""
polls = pytest.mark.skipif(
    "/api/v1/events" not in api_document()["paths"], reason="Events are not served over HTTP yet."
)


@pytest.fixture(scope="session")
def _browser() -> Iterator[Browser]:
    with ExitStack() as running:
        try:
            found = running.enter_context(browser())
        except BrowserUnavailable as reason:
            pytest.skip(str(reason))
        yield found


@pytest.fixture
def profile(_browser: Browser) -> Iterator[Profile]:
    """The profile of a browser, which is closed when the test ends."""
    opened = _browser.profile()
    yield opened
    opened.close()


def run(
    page: Page,
    user: Person,
    peer: Person,
    *,
    url: str = "",
    module: str = "",
    wrong: str = "",
    **seconds: Any,
) -> Page:
    """Start the application on a page, for a user who writes to a peer: at the server of the page,
    or at another one."""
    page.run(
        APPLICATION,
        **{"from": module or url, "url": url, "user": user.id, "token": user.access},
        peer=peer.id,
        wrong=wrong,
        seconds=seconds,
    )
    return page


def is_in(page: Page, state: str) -> Callable[[], bool]:
    return lambda: bool(page.run("parley.state") == state)


def got(page: Page, *contents: str, what: str = "got") -> Callable[[], bool]:
    """Return whether the page got exactly these messages, or fails if it got others."""

    def arrived() -> bool:
        found = page.run(what)
        assert found == list(contents)[: len(found)], found
        return len(found) == len(contents)

    return arrived


def stored() -> list[str]:
    messages = Message.objects.order_by("conversation_id", "seq")
    return list(messages.values_list("content", flat=True))


def through_a_crash(
    server: ServerProcess, other: ServerProcess, alice: Page, bob: Page, *, state: str
) -> None:
    """Alice writes before, while and after the other server is dead, and Bob gets all of it once
    and in order."""
    before, during, after = (
        [f"{when} {number}" for number in range(count)]
        for when, count in (("before", 30), ("during", 20), ("after", 10))
    )
    for page in (alice, bob):
        until(is_in(page, state))
    alice.run("say(contents)", contents=before)
    # The server dies while some of them are on the way.
    until(lambda: len(bob.run("got")) > 5)
    other.kill()
    alice.run("say(contents)", contents=during)
    assert alice.run("parley.pending.length") >= len(during)
    other.launch()
    until(lambda: bob.run("got.includes('during 3')"), seconds=60)
    alice.run("say(contents)", contents=after)
    everything = [*before, *during, *after]
    until(got(bob, *everything), seconds=60)
    until(got(alice, *everything, what="sent"), seconds=60)
    assert stored() == everything
    assert alice.run("parley.pending") == []
    # Nothing had to be fetched anew but at the beginning.
    assert len(bob.run("fetched")) == 1


def test_messages_arrive_once_and_in_order_although_the_server_is_killed(
    start_server: Callable[..., ServerProcess],
    server: ServerProcess,
    profile: Profile,
    alice: Person,
    bob: Person,
) -> None:
    """The page comes from another origin, and the module from the server that is killed."""
    other = start_server(CORS_ALLOWED_ORIGINS=server.url)
    pages = [
        run(profile.open(server.url + PAGE), user, peer, module=other.url)
        for user, peer in ((alice, bob), (bob, alice))
    ]
    through_a_crash(server, other, *pages, state="open")


@polls
def test_the_same_holds_where_websockets_do_not_open(
    start_server: Callable[..., ServerProcess],
    server: ServerProcess,
    profile: Profile,
    alice: Person,
    bob: Person,
) -> None:
    other = start_server(CORS_ALLOWED_ORIGINS=server.url)
    pages = [profile.open(server.url + PAGE) for _ in range(2)]
    for page, user, peer in zip(pages, (alice, bob), (bob, alice), strict=True):
        page.run(WITHOUT_SOCKETS)
        run(page, user, peer, module=other.url)
    through_a_crash(server, other, *pages, state="polling")


@polls
def test_a_page_returns_to_the_websocket_once_one_opens(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    alices, bobs = (profile.open(server.url + PAGE) for _ in range(2))
    bobs.run(WITHOUT_SOCKETS)
    bobs.run(COUNTED)
    run(alices, alice, bob)
    run(bobs, bob, alice, blocked=0.2)
    until(is_in(bobs, "polling"))
    alices.run("say(['over HTTP'])")
    until(got(bobs, "over HTTP"))
    # A stream that they may not read does not cost them the others.
    forbidden = f"user.{alice.id}"
    bobs.run("parley.on('unsubscribed', ({stream}) => { refused = stream })")
    bobs.run("['feed', stream].map((name) => parley.subscribe(name))", stream=forbidden)
    alices.run("say(['and again'])")
    until(lambda: bobs.run("window.refused") == forbidden)
    until(lambda: bobs.run("fetched") == [f"user.{bob.id}", "feed"])
    bobs.run("WebSocket = Untouched")
    until(is_in(bobs, "open"))
    polled = bobs.run("polls")
    alices.run("say(['over the websocket'])")
    until(got(bobs, "over HTTP", "and again", "over the websocket"))
    assert bobs.run("polls") == polled > 0


def test_messages_that_wait_survive_a_reload_and_are_stored_once_by_two_tabs(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    page = profile.open(server.url + PAGE)
    page.run(OFFLINE)
    run(page, alice, bob)
    page.run("say(['1', '2', '3'])")
    until(is_in(page, "waiting"))
    page.go(server.url + PAGE)
    tabs = [page, profile.open(server.url + PAGE)]
    for tab in tabs:
        tab.run(OFFLINE)
        run(tab, alice, bob)
        assert tab.run("parley.pending.map(({content}) => content)") == ["1", "2", "3"]
    for tab in tabs:
        tab.run("fetch = online")
    for tab in tabs:
        until(lambda tab=tab: tab.run("parley.pending.length === 0"))  # type: ignore[misc]
    assert stored() == ["1", "2", "3"]
    assert page.run("localStorage.length") == 0


def test_messages_of_one_user_are_not_sent_by_the_next_one(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person, carol: Person
) -> None:
    page = profile.open(server.url + PAGE)
    page.run(OFFLINE)
    run(page, alice, carol)
    page.run("say(['from Alice'])")
    page.go(server.url + PAGE)
    run(page, bob, carol)
    until(is_in(page, "open"))
    page.run("trySay('from Bob')")
    assert stored() == ["from Bob"]
    # Nor with a token of somebody else.
    page.go(server.url + PAGE)
    page.run(
        APPLICATION,
        **{"from": "", "url": "", "user": alice.id, "token": bob.access},
        peer=carol.id,
        wrong="",
        seconds={},
    )
    until(is_in(page, "closed"))
    assert page.run("codes.at(-1)") == 4401
    page.run("parley.close({ forget: true })")
    assert page.run("localStorage.length") == 0
    assert stored() == ["from Bob"]


def test_more_messages_than_can_wait_are_refused_at_once(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    page = profile.open(server.url + PAGE)
    page.run(OFFLINE)
    run(page, alice, bob)
    page.run("say(Array(LIMITS.pending).fill('Ahoy'))")
    refusal = "trySay(content).catch(({code}) => code)"
    assert page.run(refusal, content="One more") == "TOO_MANY_PENDING"
    assert page.run(refusal, content="x" * 70_000) == "TOO_BIG"
    typing = "parley.send('typing', {receiverId, isTyping: true}).catch(({code}) => code)"
    assert page.run(typing, receiverId=bob.id) == "NOT_CONNECTED"
    assert page.run("parley.pending.length === LIMITS.pending")


def test_a_refused_message_waits_no_longer_and_holds_up_no_other(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    page = run(profile.open(server.url + PAGE), alice, bob)
    page.run("parley.on('refused', ({draft, error}) => { refused = [draft.content, error.code] })")
    page.run("say(['', 'Hello'])")
    until(got(page, "Hello", what="sent"))
    assert page.run("refused") == ["", "VALIDATION_ERROR"]
    assert page.run("parley.pending") == []


def test_a_text_that_was_cut_within_a_sign_holds_up_no_message(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    page = run(profile.open(server.url + PAGE), alice, bob)
    page.run(r"say(['Ahoy \u{1F600}'.slice(0, -1), '\u{1F600} \\ud83d'])")
    until(got(page, "Ahoy \ufffd", "\U0001f600 \\ud83d", what="sent"))
    assert stored() == ["Ahoy \ufffd", "\U0001f600 \\ud83d"]


def test_a_message_is_sent_although_the_clock_was_set_back_since(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    page = profile.open(server.url + PAGE)
    page.run(OFFLINE)
    run(page, alice, bob)
    page.run("now = Date.now, Date.now = () => now() + 86_400_000")
    page.run("say(['from tomorrow'])")
    page.go(server.url + PAGE)
    run(page, alice, bob)
    until(got(page, "from tomorrow", what="sent"))


def test_a_proxy_that_asks_for_months_of_patience_is_not_asked_without_a_pause(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    """A timer of a browser takes no more than 24 days, and ends at once if it is given more."""
    page = profile.open(server.url + PAGE)
    page.run(TIMED)
    page.run(
        "fetch = async () => new Response('', {status: 503, headers: {'Retry-After': '9999999'}})"
    )
    run(page, alice, bob)
    until(is_in(page, "waiting"))
    assert page.run("Math.max(...waits)") == 3_600_000


@polls
def test_a_page_of_the_network_instead_of_an_answer_costs_no_stream_and_no_message(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    """So a network asks its users to log in, and a proxy refuses a path."""
    page = profile.open(server.url + PAGE)
    page.run(WITHOUT_SOCKETS)
    page.run(COUNTED)
    run(page, alice, bob, poll=1)
    until(is_in(page, "polling"))
    page.run("parley.on('unsubscribed', ({stream}) => got.push(stream))")
    page.run(
        "asked = 0, there = fetch, fetch = async (url) => new Response('<html>',"
        " {status: asked++ % 2 && url.includes('/events') ? 403 : 200})"
    )
    page.run("say(['Hello'])")
    until(lambda: page.run("asked") > 6)
    page.run("fetch = there")
    until(got(page, "Hello", what="sent"))
    assert page.run("got") == []


@polls
def test_a_server_that_answers_early_and_without_an_event_is_asked_a_second_later(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    """A server that stops answers all requests at once."""
    page = profile.open(server.url + PAGE)
    page.run(TIMED)
    page.run(WITHOUT_SOCKETS)
    page.run(
        "early = 0, there = fetch, fetch = async (url, options) => url.includes('wait=')"
        " ? (early++, new Response(JSON.stringify({success: true, data})))"
        " : there(url, options)",
        data={
            "stream": f"user.{alice.id}",
            "head": 0,
            "epoch": "",
            "recovered": True,
            "events": [],
        },
    )
    run(page, alice, bob)
    until(lambda: page.run("early") > 3)
    assert page.run("waits.filter((wait) => wait === 1000).length >= early - 1")


@polls
def test_a_page_without_a_stream_stays_alive(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    page = profile.open(server.url + PAGE)
    page.run(WITHOUT_SOCKETS)
    page.run("window.load = (streams) => streams.forEach((name) => parley.unsubscribe(name))")
    run(page, alice, bob)
    until(lambda: page.run("fetched.length") == 1)
    page.run("trySay('Still here')")
    assert stored() == ["Still here"]


def test_a_message_whose_answer_is_lost_is_stored_once(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    page = profile.open(server.url + PAGE)
    page.run(BAD_NETWORK)
    page.run("answers = 0, loses = ({type}) => type === 'ack' && answers++ === 0")
    run(page, alice, bob)
    until(is_in(page, "open"))
    page.run("say(['1', '2'])")
    until(lambda: page.run("answers") == 1)
    for event in ("offline", "online"):
        page.run("dispatchEvent(new Event(name))", name=event)
    until(got(page, "1", "2", what="sent"))
    until(lambda: page.run("parley.pending.length === 0"))
    assert stored() == ["1", "2"]


def test_a_hole_heals_and_repeats_are_dropped(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    alices, bobs = (profile.open(server.url + PAGE) for _ in range(2))
    bobs.run(BAD_NETWORK)
    bobs.run("loses = ({seq, type}) => type === 'chat_message' && toLose.delete(seq)")
    bobs.run("toLose = new Set([2, 5, 8])")
    run(alices, alice, bob)
    run(bobs, bob, alice)
    until(is_in(bobs, "open"))
    alices.run("say(contents)", contents=list("12345678"))
    # After the eighth nothing comes that shows the hole, so heads must: those of a heartbeat, or
    # those that a page asks for when it comes to the front.
    until(lambda: bobs.run("toLose.size") == 0)
    bobs.run("document.dispatchEvent(new Event('visibilitychange'))")
    until(got(bobs, *"12345678"))
    assert len(bobs.run("fetched")) == 1


def test_a_group_begins_with_its_first_event_and_ends_when_it_may_not_be_read(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    """The page is told of a group of which this server does not know."""
    page = profile.open(server.url + PAGE)
    page.run(REMEMBERED)
    run(page, alice, bob)
    until(is_in(page, "open"))
    stream = f"conversation.{alice.id}"

    def receive(kind: str, data: Any, **event: Any) -> None:
        frame = {"type": kind, "data": data, "timestamp": "2026-01-31T12:00:00Z", **event}
        page.run("sockets[0].onmessage({data})", data=json.dumps(frame))

    page.run("parley.on('unsubscribed', ({stream}) => { ended = stream })")
    receive("subscribed", {"stream": stream, "head": 6, "epoch": "e", "recovered": True})
    for seq, content in ((5, "first"), (6, "second"), (6, "second"), (8, "fourth")):
        receive("chat_message", {"message": {"content": content}}, stream=stream, seq=seq)
    until(lambda: page.run("window.ended") == stream)
    assert page.run("got") == ["first", "second"]
    assert page.run("fetched") == [f"user.{alice.id}"]


def test_a_connection_that_broke_without_a_word_is_noticed(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    with Proxy(server.port) as proxy:
        page = profile.open(f"http://127.0.0.1:{proxy.port}{PAGE}")
        run(page, bob, alice, silence=0.5, pong=0.5, connect=1)
        until(is_in(page, "open"))
        proxy.fall_silent()
        until(lambda: "waiting" in page.run("states"))
        send_by_http(server, alice, bob, "Are you there?")
        until(got(page, "Are you there?"), seconds=30)
        page.run("parley.close()")


@pytest.mark.parametrize("frame", ["no JSON", '{"type": "connected"}', '{"type": "pong"}'])
def test_a_frame_that_is_malformed_ends_the_connection(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person, frame: str
) -> None:
    page = profile.open(server.url + PAGE)
    page.run(REMEMBERED)
    run(page, alice, bob)
    until(is_in(page, "open"))
    page.run("sockets[0].onmessage({data})", data=frame)
    until(lambda: page.run("sockets.length === 2 && parley.state === 'open'"))
    page.run("trySay('Still here')")
    assert stored() == ["Still here"]


def test_a_new_epoch_has_the_application_fetch_again_and_go_on(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    page = run(profile.open(server.url + PAGE), bob, alice)
    until(is_in(page, "open"))
    send_by_http(server, alice, bob, "in the old epoch")
    until(got(page, "in the old epoch"))
    # With the first event the page asks for the epoch, and answers have the order of what is asked.
    page.run("parley.send('presence', {userIds: [peer]})", peer=alice.id)
    assert page.run("fetched") == [f"user.{bob.id}"]
    page.run(OFFLINE)
    page.run("dispatchEvent(new Event('offline'))")
    epochs_renew()
    page.run("fetch = online")
    page.run("dispatchEvent(new Event('online'))")
    until(lambda: page.run("fetched") == [f"user.{bob.id}"] * 2)
    send_by_http(server, alice, bob, "in the new epoch")
    until(got(page, "in the old epoch", "in the new epoch"))


def test_the_events_after_those_that_were_fetched_are_handled(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    """Events wait while the application fetches, which may fail."""
    page = profile.open(server.url + PAGE)
    page.run("load = () => new Promise((resolve, reject) => { answer = resolve; fail = reject })")
    run(page, bob, alice)
    until(lambda: page.run("fetched.length") == 1)
    send_by_http(server, alice, bob, "1")
    page.run("fail(new Error('The list is not there'))")
    until(lambda: page.run("fetched.length") == 2)
    for content in "234":
        send_by_http(server, alice, bob, content)
    assert page.run("got") == []
    page.run("answer({[fetched[0]]: 2})")
    until(got(page, "3", "4"))
    # What was fetched may be older than the head at which the next page begins.
    page.go(server.url + PAGE)
    page.run("load = ([stream]) => ({[stream]: 1})")
    run(page, bob, alice)
    until(got(page, "2", "3", "4"))


def test_a_refused_token_is_replaced_by_a_new_one(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    page = run(profile.open(server.url + PAGE), alice, bob, wrong="expired")
    until(is_in(page, "open"))
    assert page.run("tokens") == [False, True]


def test_a_page_does_what_a_close_code_says(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    page = profile.open(server.url + PAGE)
    page.run(REMEMBERED)
    run(page, alice, bob, restarting=[0.4, 0.5])
    waited = {}
    for count, code in enumerate((1012, 4401, 4408, 1006), start=2):
        until(is_in(page, "open"))
        page.run("closedAt = performance.now(), sockets.at(-1).onclose({code})", code=code)
        until(lambda count=count: page.run("sockets.length") == count)  # type: ignore[misc]
        waited[code] = page.run("(sockets.at(-1).at - closedAt) / 1000")
    # After the others it comes back at any time below `longest`.
    assert waited[1012] >= 0.4
    assert page.run("tokens") == [False, False, True, False, False]
    assert page.run("codes.filter(Boolean)") == [1012, 4401, 4408, 1006]
    until(is_in(page, "open"))
    page.run("sockets.at(-1).onclose({code: 4502})")
    until(is_in(page, "closed"))
    assert page.run("codes.at(-1)") == 4502


def test_a_page_whose_session_ended_does_not_come_back(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    page = run(profile.open(server.url + PAGE), alice, bob)
    until(is_in(page, "open"))
    server.call("POST", "/api/v1/auth/logout", headers={"Authorization": f"Bearer {alice.access}"})
    until(is_in(page, "closed"))
    assert page.run("codes.at(-1)") == 4501
    tokens = page.run("tokens.length")
    for event in ("offline", "online"):
        page.run("dispatchEvent(new Event(name))", name=event)
    assert page.run("parley.send('presence', {userIds: []}).catch(({code}) => code)") == "CLOSED"
    assert page.run("tokens.length") == tokens
    assert page.run("states") == ["open", "closed"]


def test_the_example_of_the_page_works(
    server: ServerProcess, profile: Profile, alice: Person, bob: Person
) -> None:
    _, found, _ = section("realtime.md", "From a browser").split("```")
    example = found.removeprefix("js\n").replace("https://chat.example.com", server.url)
    assert len(example.splitlines()) <= 15
    page = profile.open(server.url + PAGE)
    page.run(
        "void Object.assign(window, {me: {id: alice}, receiverId: bob, session: {accessToken},"
        " loadConversations: () => {}, showBanner: (state) => { banner = state },"
        " shown: [], show: ({content}) => shown.push(content)})",
        alice=alice.id,
        bob=bob.id,
        accessToken=alice.access,
    )
    page.run(
        "document.head.append(Object.assign(document.createElement('script'), "
        "{type: 'module', textContent: text}))",
        text=example,
    )
    until(lambda: stored() == ["Hello!"])
    send_by_http(server, bob, alice, "Hello, Alice")
    until(lambda: page.run("shown") == ["Hello!", "Hello, Alice"])
    assert page.run("banner") == "open"


def send_by_http(server: ServerProcess, sender: Person, receiver: Person, content: str) -> None:
    answer = server.call(
        "POST",
        "/api/v1/messages",
        json={"receiverId": receiver.id, "content": content},
        headers={"Authorization": f"Bearer {sender.access}"},
    )
    assert answer.status_code == 201, answer.text
