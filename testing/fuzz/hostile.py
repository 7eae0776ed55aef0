"""Hostile requests that no generator produces, sent to every route: no response is a 5xx, and each
has the envelope."""

import base64
import http.client
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import orjson

from testing.fuzz.findings import Findings
from testing.fuzz.people import People
from testing.fuzz.routes import Request, Route, routes

DEEP = 10_000
MEGABYTE = 1_000_000

DEEP_LIST = b"[" * DEEP + b"]" * DEEP
DEEP_OBJECT = b'{"a":' * DEEP + b"1" + b"}" * DEEP

BODIES = {
    "nothing": b"",
    "half an object": b'{"title":',
    "no JSON": b"<title>",
    "a comma too many": b'{"a":1,}',
    "two objects": b"{}{}",
    "NUL": b"\0",
    "null": b"null",
    "a number": b"1",
    "a text": b'"text"',
    "a list": b"[]",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "invalid UTF-8": b'{"a":"\xff\xfe"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "unknown fields": b'{"id":1,"__proto__":{},"is_staff":true,"":0,"a.b":[]}',
    "a key twice": b'{"title":"abc","title":[]}',
    "a lone surrogate as a key": b'{"\\ud800":1}',
    "a deep list": DEEP_LIST,
    "a deep object": DEEP_OBJECT,
    "a deep list that never ends": b"[" * MEGABYTE,
    "a deep unknown field": b'{"a":%b%b}' % (b"[" * 1000, b"]" * 1000),
    "a number of 100,000 digits": b'{"a":%b}' % (b"9" * 100_000),
    "a megabyte of spaces": b" " * MEGABYTE,
    "more than the limit": b'{"a":"%b"}' % (b"x" * 2 * MEGABYTE),
    "100,000 keys": orjson.dumps({str(number): 0 for number in range(100_000)}),
}

VALUES = [
    *(b"null", b"true", b"0", b"-1", b"1.5", b"1e999", b"-0.0", b"1e300", b"%d" % 2**63, b"9" * 50),
    *(b'""', b'" "', b'"\\u0000"', b'"long enough\\u0000"', b'"\\ud800"', b'"a\\udfff\\ud800b"'),
    *(b'"\xff"', b'"\\u202e\\u0007\\ufffe\\u2028"', '"👩‍👩‍👧 \N{COMBINING DIAERESIS}"'.encode()),
    *(b'"%00"', b'"\' OR 1=1 --"', b'"${7*7}{{7*7}}"', b'"0001-01-01"', b'"\\\\"', b'"a@b"'),
    *(b"[]", b"{}", b"[[]]", b"[null]", b'["\\u0000"]', b'{"$ne":null}', b"NaN", b"Infinity"),
    *(DEEP_LIST, DEEP_OBJECT, b'"%b"' % (b"x" * MEGABYTE), b"[%b0]" % (b"0," * DEEP)),
]

HEADERS = {
    "Accept": [
        *("", "text/html", "application/xml", "*/*;q=0", "a", "application/json;q=x", "/", "é")
    ],
    "Accept-Encoding": ["zstd", "identity;q=0, *;q=0"],
    "Accept-Language": ["é", "x" * 5000],
    "Authorization": [
        *("", "Bearer", "Bearer é", "Bearer a.b.c", "Basic QQ==", "Bearer " + "x" * 8000)
    ],
    "Content-Encoding": ["gzip"],
    "Content-Type": [
        *("", "text/plain", "application/xml", "application/x-www-form-urlencoded", "a/b/c", "é"),
        *("multipart/form-data", "multipart/form-data; boundary=a", "application/json;;charset==="),
        *("application/json; charset=utf-16", "application/json; charset=nonsense"),
    ],
    "Cookie": ["sessionid=é; ;=;csrftoken", "a=" + "b" * 4000],
    "Host": ["", "elsewhere.example", "[::1", "a b", "é"],
    "Idempotency-Key": ["", " ", "é", "a b", "x" * 255, "x" * 256, "x" * 5000],
    "If-Match": ["", "*", '"', "W/", '"1"', "é", "," * 5000],
    "If-None-Match": ["*", '"', "é", "," * 5000],
    "Origin": ["null", "http://elsewhere.example", "é"],
    "Range": ["bytes=5-1"],
    "X-Forwarded-For": ["é", ", , ,", "1.2.3.4, " * 500],
    "X-HTTP-Method-Override": ["DELETE"],
    "X-Request-ID": ["é", "x" * 65, "a b"],
}

QUERIES = [
    *("%ff", "%00", "%", "%zz", "&&==;", "a=1&" * 2000, "a" * 10_000, "page=%00", "limit=%ff"),
    *("page=0", "page=-1", "page=1.5", "page=1e9", "page=1000000000", "page=" + "9" * 30, "page="),
    *("limit=0", "limit=101", "limit=%D9%A3", "limit=1&limit=x", "limit=" + "9" * 10_000),
    *("search=%00", "search=%25_%5C'", "search=" + "x" * 101, "status=%00", "status=gone"),
    *("userId=1", "userId=%00", "authorId=x", "authorId=%ff", "userId=" + "f" * 10_000),
    *("cursor=%00", "cursor=%ff", "cursor=%ED%A0%80", "cursor=A", "cursor=" + "A" * 10_000),
]

SOME_ID = "01900000-0000-7000-8000-000000000000"
MOMENTS = ("2024-01-01T00:00:00+00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2024", "")
# What a correctly encoded cursor may contain.
CURSORS = [
    *("", "{}", "[]", "null", '["n"]', '["n",1]', '["n",-1]', '["n",true]', '["n",1e99]', "[[]]"),
    *('["n",null,null]', '["x",1,1]', f'["n",{2**63}]', '[{},"a","b"]', "[" * 300 + "]" * 300),
    *(f'["{way}","{SOME_ID}"]' for way in "npx"),
    *(f'["n","{moment}","{some_id}"]' for moment in MOMENTS for some_id in (SOME_ID, "", "1")),
]

THINGS = [
    *("x", "0", "%00", "%ff", "%ED%A0%80", "%0a", "..", "%2e%2e", "%2f", "None", "x" * 5000),
    *(SOME_ID, SOME_ID.upper(), f"{SOME_ID}%0a", f"{SOME_ID}%00", SOME_ID.replace("-", "")),
    *(f"{{{SOME_ID}}}", f"urn:uuid:{SOME_ID}", "%D9%A3" * 8, "%F0%9F%99%82"),
]

ENDINGS = ["/", "//", "%00", "/..", ";a=b", ".json", "%20"]

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY"]


def send_hostile_requests(people: People, findings: Findings) -> None:
    """Send all of them to every route."""
    with closing(http.client.HTTPConnection(urlsplit(people.url).netloc, timeout=30)) as connection:
        for route in routes(people):
            for request in _of(route):
                status, body = _send(connection, request)
                findings.note(route.label, status)
                if wrong := _wrong(request, status, body):
                    findings.fail(
                        f"{request.what}: {wrong}",
                        f"{request.method} {request.path[:200]}?{request.query[:200]}\n"
                        f"{request.body[:200]!r}\n{status} {body[:500]!r}",
                    )
                if route.single_use and 200 <= status < 300:
                    route.renew()


def _of(route: Route) -> Iterator[Request]:
    yield route.right()
    for change in (_bodies, _fields, _headers, _queries, _paths, _methods):
        yield from change(route)


def _bodies(route: Route) -> Iterator[Request]:
    for what, body in BODIES.items():
        yield route.right().but(what, body=body)


def _fields(route: Route) -> Iterator[Request]:
    for field in route.fields:
        for value in VALUES:
            yield route.right(**{field: value}).but(f"{field} = {value[:50]!r}")


def _headers(route: Route) -> Iterator[Request]:
    for name, values in HEADERS.items():
        for value in values:
            yield route.right().with_header(name, value)


def _queries(route: Route) -> Iterator[Request]:
    cursors = map(_cursor, CURSORS) if "cursor" in route.queries else ()
    for query in [*QUERIES, *cursors]:
        yield route.right().with_query(query)


def _paths(route: Route) -> Iterator[Request]:
    for thing in THINGS if route.has_parameter else ():
        yield route.right().but(f"path to {thing[:50]}", path=route.path(thing))
    for ending in ENDINGS:
        yield route.right().but(f"path with {ending}", path=f"{route.path()}{ending}")


def _methods(route: Route) -> Iterator[Request]:
    for method in METHODS:
        yield route.right().but(method, method=method)


def _cursor(value: str) -> str:
    return f"cursor={base64.urlsafe_b64encode(value.encode()).decode().rstrip('=')}"


def _send(connection: http.client.HTTPConnection, request: Request) -> tuple[int, bytes]:
    target = f"{request.path}?{request.query}" if request.query else request.path
    own_host = "Host" in request.headers
    connection.putrequest(request.method, target, skip_host=own_host, skip_accept_encoding=True)
    for name, value in request.headers.items():
        connection.putheader(name, value.encode())
    connection.putheader("Content-Length", str(len(request.body)))
    connection.endheaders(request.body)
    response = connection.getresponse()
    return response.status, response.read()


def _wrong(request: Request, status: int, body: bytes) -> str:
    """Return what is wrong with a response, or an empty string."""
    if status >= 500:
        return "server error"
    if request.what == "right" and status >= 300:
        return "refused"
    if not body:
        return "" if request.method in {"HEAD", "OPTIONS"} or status in {304, 308} else "no body"
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "no JSON"
    if len(body) > 100_000:
        return f"an answer of {len(body)} bytes"
    keys = {"success", "message", "meta"} | ({"code"} if status >= 400 else set())
    return "" if keys <= answer.keys() and answer["success"] is (status < 400) else "no envelope"
