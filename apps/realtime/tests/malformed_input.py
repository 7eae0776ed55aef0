"""What no library sends: the bytes of each case, and what the server does with them."""

from websockets.frames import Opcode

from testing.raw_socket import masked

TEXT, CONT, BINARY = Opcode.TEXT, Opcode.CONT, Opcode.BINARY
CLOSE, PING, PONG = Opcode.CLOSE, Opcode.PING, Opcode.PONG

MASK = bytes(4)
BAD = "error BAD_REQUEST"
WRONG = "error VALIDATION_ERROR"
NOT_FOUND = "error NOT_FOUND"


def text(content: str | bytes) -> bytes:
    """Return a text frame."""
    return masked(TEXT, content if isinstance(content, bytes) else content.encode())


def typed(kind: str, data: str, more: str = "") -> bytes:
    """Return a text frame with a command whose data, and further members, are written as JSON."""
    return text(f'{{"type": "{kind}", "data": {data}{more}}}')


def begun(first: int, frame: bytes) -> bytes:
    """Return a frame with another first byte: its reserved bits and its opcode."""
    return bytes([first]) + frame[1:]


def closed(code: int, reason: bytes = b"") -> bytes:
    """Return a close frame with any code."""
    return masked(CLOSE, code.to_bytes(2) + reason)


PART = b"x" * 4096
# Each with what the client gets until the server answers its next `ping`, by `pong`, or has closed
# the connection: the types and codes of frames.
FRAMES: dict[str, tuple[bytes, list[str]]] = {
    # Text that is not UTF-8.
    "bad UTF-8": (text(b'{"type": "ping", "data": {"a": "\xff"}}'), ["close 1007"]),
    "bad UTF-8 in two fragments": (
        masked(TEXT, b'{"type": "\xc3', fin=False) + masked(CONT, b'("}'),
        ["close 1007"],
    ),
    "UTF-8 split between fragments": (
        masked(TEXT, b'{"type": "ping", "data": {"a": "\xc3', fin=False) + masked(CONT, b'\xa9"}}'),
        ["pong", "pong"],
    ),
    "a surrogate in UTF-8": (text(b'{"type": "\xed\xa0\x80"}'), ["close 1007"]),
    "overlong UTF-8": (text(b'{"type": "\xc0\xaf"}'), ["close 1007"]),
    "text that ends within a character": (text(b'{"type": "ping"}\xe2\x82'), ["close 1007"]),
    # Sizes.
    "a large message in fragments": (
        masked(TEXT, PART, fin=False) + masked(CONT, PART, fin=False) * 16,
        ["close 1009"],
    ),
    "a length of 65,537": (b"\x81\xff" + (65_537).to_bytes(8) + MASK, ["close 1009"]),
    "a length of 2^62": (b"\x81\xff" + (2**62).to_bytes(8) + MASK, ["close 1009"]),
    "a length of 2^63": (b"\x81\xff" + (2**63).to_bytes(8) + MASK, ["close 1009"]),
    "a length of 2^64 - 1": (b"\x81\xff" + b"\xff" * 8 + MASK, ["close 1009"]),
    # The library takes a length that is longer than it must be.
    "a short length in two bytes": (b"\x81\xfe" + (2).to_bytes(2) + MASK + b"{}", [BAD, "pong"]),
    "a short length in eight bytes": (b"\x81\xff" + (2).to_bytes(8) + MASK + b"{}", [BAD, "pong"]),
    # The heads of frames.
    "a frame that is not masked": (b"\x81\x02{}", ["close 1002"]),
    "a ping that is not masked": (b"\x89\x00", ["close 1002"]),
    "a compressed frame": (begun(0xC1, text("{}")), ["close 1002"]),
    "the second reserved bit": (begun(0xA1, text("{}")), ["close 1002"]),
    "the third reserved bit": (begun(0x91, text("{}")), ["close 1002"]),
    "a reserved bit of a ping": (begun(0xC9, masked(PING)), ["close 1002"]),
    **{
        f"opcode {opcode}": (begun(0x80 | opcode, text("{}")), ["close 1002"])
        for opcode in (3, 7, 11, 15)
    },
    # Control frames and fragments.
    "a ping in fragments": (begun(0x09, masked(PING)), ["close 1002"]),
    "a close in fragments": (begun(0x08, closed(1000)), ["close 1002"]),
    "a ping of 126 bytes": (begun(0x89, text("x" * 126)), ["close 1002"]),
    "a pong of 126 bytes": (begun(0x8A, text("x" * 126)), ["close 1002"]),
    "a close of 126 bytes": (begun(0x88, text("x" * 126)), ["close 1002"]),
    "a continuation of nothing": (masked(CONT, b"{}"), ["close 1002"]),
    "a message within another": (masked(TEXT, b"{", fin=False) + text("{}"), ["close 1002"]),
    "a binary message within a text": (
        masked(TEXT, b"{", fin=False) + masked(BINARY, b"{}"),
        ["close 1002"],
    ),
    "fragments without end": (
        masked(TEXT, b"", fin=False) + masked(CONT, b"", fin=False) * 1_000,
        ["close 4429"],
    ),
    "a ping between fragments": (
        masked(TEXT, b'{"type": "pi', fin=False) + masked(PING) + masked(CONT, b'ng"}'),
        ["PONG", "pong", "pong"],
    ),
    "a close between fragments": (masked(TEXT, b"{", fin=False) + closed(1000), ["close 1002"]),
    "a pong that nobody asked for": (masked(PONG, b"hello"), ["pong"]),
    "many pongs": (masked(PONG) * 90, ["close 4429"]),
    # Close frames.
    "a close without code": (masked(CLOSE), ["close"]),
    "a close of one byte": (masked(CLOSE, b"\x03"), ["close 1002"]),
    **{
        f"a close with {code}": (closed(code), ["close 1002"])
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535)
    },
    "a close with 3000": (closed(3000), ["close 3000"]),
    "a close with 4999": (closed(4999), ["close 4999"]),
    "a close whose reason is not UTF-8": (closed(1000, b"\xff"), ["close 1007"]),
    "frames after a close": (closed(1000) + text("{}") * 3, ["close 1000"]),
    "nonsense after a close": (closed(1000) + b"\xff" * 100, ["close 1000"]),
    "two closes": (closed(1000) * 2, ["close 1000"]),
    # Text that is no JSON object with a type.
    "an empty text": (text(""), [BAD, "pong"]),
    "an empty binary frame": (masked(BINARY), [BAD, "pong"]),
    "a binary frame with a command": (masked(BINARY, b'{"type": "ping"}'), [BAD, "pong"]),
    "a byte order mark": (text('\ufeff{"type": "ping"}'), [BAD, "pong"]),
    "two objects": (text('{"type": "ping"}{"type": "ping"}'), [BAD, "pong"]),
    "60,000 brackets": (text("[" * 60_000), [BAD, "pong"]),
    "deep objects": (text('{"type":' * 7_000), [BAD, "pong"]),
    "deep and whole": (text("[" * 30_000 + "]" * 30_000), [BAD, "pong"]),
    "null": (text("null"), [BAD, "pong"]),
    "true": (text("true"), [BAD, "pong"]),
    "NaN": (typed("ping", '{"a": NaN}'), [BAD, "pong"]),
    "Infinity": (typed("ping", '{"a": -Infinity}'), [BAD, "pong"]),
    "a surrogate alone": (typed("ping", '{"a": "\\ud800"}'), [BAD, "pong"]),
    "a character NUL": (typed("ping", '{"a": "\0"}'), [BAD, "pong"]),
    "three of them": (text("[]") * 3 + text("{"), [BAD, BAD, BAD, "close 4400"]),
    "three binary frames": (masked(BINARY, b"x") * 3, [BAD, BAD, BAD, "close 4400"]),
    **{
        f"the type {kind}": (text(f'{{"type": {kind}}}'), [BAD, "pong"])
        for kind in ("null", "7", "true", "[]", '["ping"]', '{"a": 1}')
    },
    # Commands with wrong members.
    "an empty type": (text('{"type": ""}'), [NOT_FOUND, "pong"]),
    "a type with NUL": (text('{"type": "ping\\u0000"}'), [NOT_FOUND, "pong"]),
    "a long type": (text(f'{{"type": "{"x" * 60_000}"}}'), [NOT_FOUND, "pong"]),
    "two types": (text('{"type": "dance", "type": "ping"}'), ["pong", "pong"]),
    "a huge number in a ping": (typed("ping", f'{{"a": {"9" * 5_000}}}'), [BAD, "pong"]),
    "a huge exponent in a ping": (typed("ping", '{"a": 1e999}'), [BAD, "pong"]),
    "a long requestId": (typed("ping", "{}", f', "requestId": "{"x" * 60_000}"'), ["pong", "pong"]),
    "a requestId that is a number": (typed("ping", "{}", ', "requestId": 7'), ["pong", "pong"]),
    "a requestId that is an object": (typed("ping", "{}", ', "requestId": {}'), ["pong", "pong"]),
    **{
        f"{kind} with {data}": (typed(kind, data), [BAD, "pong"])
        for kind in ("chat_message", "subscribe")
        for data in ("[]", '"text"', "7", "false")
    },
    **{
        f"subscribe to {stream}": (typed("subscribe", f'{{"stream": {stream}}}'), [answer, "pong"])
        for stream, answer in {
            "null": WRONG,
            "7": WRONG,
            "[]": WRONG,
            '"feed\\u0000"': WRONG,
            '"user.\\uffff"': NOT_FOUND,
        }.items()
    },
    **{
        f"subscribe after {after}": (
            typed("subscribe", f'{{"stream": "feed", "after": {after}}}'),
            [WRONG, "pong"],
        )
        for after in ("-1", "1.5", "true", '"x"', "[]", "{}", "1e300", "9223372036854775808")
    },
    "an epoch that is no text": (
        typed("subscribe", '{"stream": "feed", "after": 0, "epoch": []}'),
        [WRONG, "pong"],
    ),
    "an epoch with NUL": (
        typed("subscribe", '{"stream": "feed", "after": 0, "epoch": "\\u0000"}'),
        [WRONG, "pong"],
    ),
    "a receiver with NUL": (
        typed("chat_message", '{"receiverId": "\\u0000", "content": "Ahoy"}'),
        [WRONG, "pong"],
    ),
    "a content that is no text": (
        typed("chat_message", '{"receiverId": 7, "content": []}'),
        [WRONG, "pong"],
    ),
    "isTyping that is no boolean": (
        typed("typing", '{"receiverId": [], "isTyping": {}}'),
        [WRONG, "pong"],
    ),
    "messages that are no list": (
        typed("read_receipt", '{"senderId": {}, "messageIds": "x"}'),
        [WRONG, "pong"],
    ),
    "a seq that is no number": (typed("delivered", '{"seq": "x"}'), [WRONG, "pong"]),
    "a huge seq": (typed("delivered", '{"seq": 18446744073709551615}'), [WRONG, "pong"]),
    "users that are no list": (typed("presence", '{"userIds": {"a": 1}}'), [WRONG, "pong"]),
    "too many users": (typed("presence", str(["x"] * 5_000).replace("'", '"')), [BAD, "pong"]),
}

VERSION, KEY = b"Sec-WebSocket-Version: 13\r\n", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
UPGRADE, CONNECTION = b"Upgrade: websocket\r\n", b"Connection: Upgrade\r\n"
OFFER = b"Sec-WebSocket-Extensions: permessage-deflate"
# A part of the request that asks for a websocket, what is sent instead of it, and the status of the
# answer.
REQUESTS: dict[str, tuple[bytes, bytes, int]] = {
    "no version": (VERSION, b"", 400),
    "version 12": (VERSION, b"Sec-WebSocket-Version: 12\r\n", 400),
    "a version that is no number": (VERSION, b"Sec-WebSocket-Version: x\r\n", 400),
    "two versions": (VERSION, VERSION * 2, 400),
    "no key": (KEY, b"", 400),
    "a short key": (KEY, b"Sec-WebSocket-Key: YQ==\r\n", 400),
    "a key that is not base64": (KEY, b"Sec-WebSocket-Key: ???\r\n", 400),
    "two keys": (KEY, KEY * 2, 400),
    "no connection": (CONNECTION, b"", 404),
    "a connection to be kept": (CONNECTION, b"Connection: keep-alive\r\n", 404),
    "two upgrades": (UPGRADE, UPGRADE * 2, 426),
    "an upgrade to HTTP/2": (UPGRADE, b"Upgrade: h2c\r\n", 404),
    "no upgrade": (UPGRADE, b"", 404),
    # Uvicorn takes an upgrade by HTTP/1.0 too.
    "HTTP/1.0": (b"HTTP/1.1", b"HTTP/1.0", 101),
    "HTTP/3.7": (b"HTTP/1.1", b"HTTP/3.7", 400),
    "a POST": (b"GET ", b"POST ", 405),
    "an empty body": (KEY, KEY + b"Content-Length: 0\r\n", 101),
    "a body": (KEY + b"\r\n", KEY + b"Content-Length: 2\r\n\r\n{}", 400),
    "a body in chunks": (KEY, KEY + b"Transfer-Encoding: chunked\r\n", 400),
    "two lengths": (KEY, KEY + b"Content-Length: 0\r\nContent-Length: 1\r\n", 400),
    "a header of 9 KiB": (KEY, KEY + b"Long: " + b"x" * 9_000 + b"\r\n", 400),
    "a header of 40 KiB": (KEY, KEY + b"Long: " + b"x" * 40_000 + b"\r\n", 431),
    "300 headers": (KEY, KEY + b"Many: x\r\n" * 300, 400),
    "a header without a colon": (KEY, KEY + b"nonsense\r\n", 400),
    "a header with NUL": (KEY, KEY + b"Odd: \0\r\n", 400),
    "a header that is not ASCII": (KEY, KEY + b"Odd: \xff\r\n", 101),
    "an address that is not ASCII": (b"/ws ", b"/ws\xff ", 400),
    "a query that is not ASCII": (b"/ws ", b"/ws?token=\xff ", 400),
    "a query that is not UTF-8": (b"/ws ", b"/ws?token=%ff%00 ", 101),
    "a token that is not ASCII": (b"Bearer ", b"Bearer \xff", 401),
    "two tokens": (b"Authorization: ", b"Authorization: Bearer x\r\nAuthorization: ", 401),
    "compression": (KEY, KEY + OFFER + b"\r\n", 101),
    "odd compression": (KEY, KEY + OFFER + b"; server_max_window_bits=99; x\r\n", 101),
    "malformed compression": (KEY, KEY + OFFER + b";;=\r\n", 101),
    "an unknown protocol": (KEY, KEY + b"Sec-WebSocket-Protocol: chat, x\r\n", 101),
    "a malformed protocol": (KEY, KEY + b"Sec-WebSocket-Protocol: ,;\r\n", 400),
    "frames that come with it": (KEY + b"\r\n", KEY + b"\r\n" + text("{") * 3, 101),
}
