"""The first login of a process loads nothing that others would wait for."""

import asyncio

import pytest
from django.template.autoreload import reset_loaders
from django.template.base import Template
from django.test import Client

from apps.accounts.first_login import prepare_first_login
from apps.accounts.tests.people import Person


def test_the_first_login_page_of_a_process_compiles_no_template(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    reset_loaders()
    asyncio.run(prepare_first_login())
    monkeypatch.setattr(Template, "compile_nodelist", pytest.fail)
    assert Client().get("/admin/login/").status_code == 200
    form = {"username": alice.user.email, "password": "wrong"}
    assert Client().post("/admin/login/", form).status_code == 200
