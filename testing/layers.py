"""The layers of the apps, for import-linter: each app declares its own in its `apps.py`."""

from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.independence import IndependenceContract
from importlinter.contracts.layers import LayersContract

# From the highest to the lowest.
LAYERS = ("features", "notifications", "mail", "jobs", "accounts", "realtime", "core")
APPS = Path(__file__).parent.parent / "apps"


class LayersOfApps(LayersContract):
    """Fails when an app imports one of a layer above its own."""

    def __init__(self, name: str, session_options: Any, contract_options: Any) -> None:
        # The colon allows imports within a layer, which the next contract forbids.
        layers = [" : ".join(f"apps.{one}" for one in sorted(found)) for found in layers_of_apps()]
        super().__init__(name, session_options, {**contract_options, "layers": ["config", *layers]})


class IndependenceOfFeatures(IndependenceContract):
    """Fails when an app of the layer of the features imports another one of it."""

    def __init__(self, name: str, session_options: Any, contract_options: Any) -> None:
        features = [f"apps.{one}" for one in layers_of_apps()[0]]
        super().__init__(name, session_options, {**contract_options, "modules": features})


class ForbiddenToFeatures(ForbiddenContract):
    """Fails when an app above realtime, or one of the given modules, imports what is forbidden."""

    def __init__(self, name: str, session_options: Any, contract_options: Any) -> None:
        above = [f"apps.{one}" for found in layers_of_apps(above="realtime") for one in found]
        modules = [*contract_options.get("source_modules", ()), *above]
        super().__init__(name, session_options, {**contract_options, "source_modules": modules})


def layers_of_apps(above: str | None = None) -> list[list[str]]:
    """Return the names of the apps of each layer, or only of those above one; raise LookupError for
    an app that declares none."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for folder in APPS.iterdir():
        if (folder / "apps.py").exists():
            found[_layer_of(folder.name)].append(folder.name)
    wanted = LAYERS[: LAYERS.index(above)] if above else LAYERS
    return [found[layer] for layer in wanted if layer in found]


def _layer_of(app: str) -> str:
    module = import_module(f"apps.{app}.apps")
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, AppConfig) and value is not AppConfig:
            layer = getattr(value, "layer", None)
            if layer in LAYERS:
                return str(layer)
    raise LookupError(f"apps/{app}/apps.py declares no layer; it is one of {', '.join(LAYERS)}.")
