"""`manage.py asyncapi`: writes the AsyncAPI document, and the types of the same frames."""

from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandParser
from drf_spectacular.renderers import OpenApiYamlRenderer

from apps.realtime.asyncapi import document
from apps.realtime.frame_types import frame_types


class Command(BaseCommand):
    """Writes asyncapi.yaml and frames.d.ts."""

    help = "Writes the AsyncAPI document of the websocket, and its frames as types of TypeScript."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the paths of the files."""
        parser.add_argument("--file", type=Path, required=True)
        parser.add_argument("--types", type=Path, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the document, in the style of openapi.yaml."""
        text = OpenApiYamlRenderer().render(document(), renderer_context={})
        options["file"].write_bytes(text)
        options["types"].write_text(frame_types(document()))
