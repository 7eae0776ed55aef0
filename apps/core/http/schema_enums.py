"""The choices of model fields, which OpenAPI and AsyncAPI list once under the names that features
give them."""

from collections.abc import Iterator
from typing import Any

from apps.core.features import enums
from apps.core.http.schema_parts import register


def name_enums(result: Any, generator: Any, **more: Any) -> Any:
    """Return the schema with the choices of model fields named as the features name them, once
    each; a field that takes some of them only says which."""
    named = {name: list(choices.values) for name, choices in enums().items()}
    for name in dict.fromkeys(_refer_to_enums(result, named)):
        register(generator.registry, name, {"type": "string", "enum": named[name]})
    result["components"] = generator.registry.build({})
    return result


def _refer_to_enums(node: Any, named: dict[str, list[str]]) -> Iterator[str]:
    """Replace the choices of a named enum by a reference to it, and yield its name."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from _refer_to_enums(child, named)
    if not isinstance(node, dict) or node.pop("x-spec-enum-id", None) is None:
        return
    names = [name for name, values in named.items() if set(node["enum"]) <= set(values)]
    if len(names) == 1:
        [name] = names
        if node["enum"] == named[name]:
            del node["enum"]
        del node["type"]
        node.pop("minLength", None)
        node["$ref"] = f"#/components/schemas/{name}"
        yield name
