"""308: a path with a trailing slash redirects to the path without it, and nowhere else."""

from urllib.parse import urljoin, urlsplit

import pytest

from testing.client import ContractClient

HERE = "http://testserver"


def location(client: ContractClient, path: str, method: str = "get") -> str:
    response = getattr(client, method)(path)
    assert response.status_code == 308
    return str(response["Location"])


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_the_slash_is_removed_for_every_method(anonymous: ContractClient, method: str) -> None:
    assert location(anonymous, "/api/v1/posts/", method) == "/api/v1/posts"


def test_the_query_is_kept(anonymous: ContractClient) -> None:
    assert location(anonymous, "/api/v1/posts/?a=%2F&b=x/") == "/api/v1/posts?a=%2F&b=x/"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/v1/%C3%BC/", "/api/v1/%C3%BC"),
        ("/api/v1/a%3Fb=c/", "/api/v1/a%3Fb%3Dc"),
        ("/api/v1/a%23b/", "/api/v1/a%23b"),
        ("/api/v1/a%25b/", "/api/v1/a%25b"),
        ("/api/v1/%0d%0aSet-Cookie:%20a=b/", "/api/v1/%0D%0ASet-Cookie:%20a%3Db"),
    ],
)
def test_reserved_characters_stay_encoded(
    anonymous: ContractClient, path: str, target: str
) -> None:
    assert location(anonymous, path) == target


@pytest.mark.parametrize(
    "path",
    [
        "/api//evil.com/",
        "/api/%2F%2Fevil.com/",
        "/api///evil.com//",
        "/api/%5C%5Cevil.com/",
        "/api/..//evil.com/",
        "/api/https://evil.com/",
        "/api/%09//evil.com/",
    ],
)
def test_the_redirect_never_leads_to_another_host(anonymous: ContractClient, path: str) -> None:
    target = location(anonymous, path)
    assert target.startswith("/api/")
    assert urlsplit(urljoin(HERE, target)).netloc == "testserver"


@pytest.mark.parametrize("path", ["//evil.com/", "//evil.com/api/", "///evil.com/"])
def test_paths_outside_of_the_api_are_not_redirected(anonymous: ContractClient, path: str) -> None:
    assert anonymous.get("/", PATH_INFO=path).status_code == 404
