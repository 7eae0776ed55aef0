"""The hosts that the server accepts."""

from django.test import Client


def test_an_unknown_host_is_refused_in_the_envelope() -> None:
    answer = Client().get("/api/v1/posts", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "BAD_REQUEST"
    assert "APP_ALLOWED_HOSTS" in answer.json()["message"]
