"""Production code outside of a feature's folder does not name the feature."""

import re
from collections.abc import Iterator
from pathlib import Path

from django.apps import apps
from django.conf import settings

# The layers whose apps config, core and realtime must not know.
ABOVE = {"features", "accounts"}
FEATURES = {one.name for one in apps.get_app_configs() if getattr(one, "layer", "") in ABOVE}
# Django and REST framework read these from the settings, before any app is loaded.
READ_FROM_SETTINGS = {
    "apps.accounts.admin_app.ParleyAdminConfig",
    "apps.accounts.passwords.Argon2Hasher",
    "apps.accounts.authentication.BearerAuthentication",
}


def named_in(*folders: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each file of production code below the folders with each dotted name in it
    of something in a feature."""
    for folder in folders:
        for path in (settings.BASE_DIR / folder).rglob("*.py"):
            if "tests" not in path.parts:
                yield from ((_within(path), name) for name in names_in(path.read_text()))


def names_in(source: str) -> list[str]:
    """Return the dotted names in a source that begin with the name of a feature."""
    names = re.findall(r"\bapps(?:\.\w+)+", source.replace("/", "."))
    return [name for name in names if ".".join(name.split(".")[:2]) in FEATURES]


def _within(path: Path) -> str:
    return str(path.relative_to(settings.BASE_DIR))


def test_only_the_settings_name_features() -> None:
    named = list(named_in("config", "apps/core", "apps/realtime"))
    assert {path for path, _ in named} == {"config/settings.py"}
    assert {name for _, name in named} == FEATURES | READ_FROM_SETTINGS


def test_the_search_finds_imports_strings_and_paths() -> None:
    source = """
    import apps.chat.models
    name = "apps.posts.models.Post"  # see apps/accounts/models.py
    from apps.core import features
    """
    assert names_in(source) == [
        "apps.chat.models",
        "apps.posts.models.Post",
        "apps.accounts.models.py",
    ]
