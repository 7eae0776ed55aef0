"""The tables of a database, as the migrations that are applied in it describe them.

Not as the present models do: a backup is made before an upgrade is migrated, and an older one is
restored before it is.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.models import JSONField

from config.backup.errors import BackupError

Migrations = Collection[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """A table: its name, the types of its columns by their names, its key, and whether it has a
    column of JSON, which the two kinds of databases write differently."""

    name: str
    columns: dict[str, str]
    key: str
    has_json: bool


def applied_migrations() -> list[tuple[str, str]]:
    """Return app and name of each migration that is applied; raise BackupError when there is none,
    or one that this code does not know."""
    loader = MigrationLoader(connection)
    applied = sorted(loader.applied_migrations)
    if not applied:
        raise BackupError("The database is empty: there is nothing to back up.")
    require_known(loader, applied, "The database is")
    return applied


def require_known(loader: MigrationLoader, migrations: Migrations, subject: str) -> None:
    """Raise BackupError unless this code knows all of the migrations."""
    if unknown := sorted(set(migrations) - set(loader.graph.nodes)):
        names = ", ".join(".".join(each) for each in unknown[:3])
        raise BackupError(
            f"{subject} of a newer release than this code, which does not know the migration "
            f"{names}. Use the release that made it, or a newer one."
        )


def tables_after(migrations: Migrations) -> list[Table]:
    """Return the tables that these migrations make, by name."""
    state = MigrationLoader(None).project_state(sorted(migrations))
    models = state.apps.get_models(include_auto_created=True)
    tables = [
        Table(
            name=model._meta.db_table,
            columns={
                field.column: str(field.db_type(connection))
                for field in model._meta.concrete_fields
                if field.column
            },
            key=str(model._meta.pk.column),
            has_json=any(isinstance(field, JSONField) for field in model._meta.concrete_fields),
        )
        for model in models
        if model._meta.managed and not model._meta.proxy
    ]
    return sorted(tables, key=lambda table: table.name)


def apply_migrations(wanted: Migrations | None = None) -> int:
    """Apply those of the wanted migrations, or of all, that are not applied yet, in the present
    transaction. Return how many there were."""
    executor = MigrationExecutor(connection)
    plan = [
        (migration, backwards)
        for migration, backwards in executor.migration_plan(executor.loader.graph.leaf_nodes())
        if wanted is None or (migration.app_label, migration.name) in wanted
    ]
    executor.migrate(None, plan)
    return len(plan)


def present_tables() -> Iterator[str]:
    """Yield the names of the tables of Parley, of Django and of libraries that are in the
    database. Others that share it are none of ours."""
    with connection.cursor() as cursor:
        found = [
            info.name
            for info in connection.introspection.get_table_list(cursor)
            if info.type in ("t", "p")
        ]
    if "django_migrations" in found:
        apps = {app for app, _ in MigrationLoader(connection).applied_migrations} | {"django"}
        prefixes = tuple(f"{app}_" for app in apps)
        yield from (name for name in found if name.startswith(prefixes))
