"""What the tables of all apps have in common."""

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import Model

OURS = [model for model in apps.get_models() if model.__module__.startswith("apps.")]


@pytest.mark.django_db
@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_no_index_is_made_twice(model: type[Model]) -> None:
    """Original defect 41."""
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, model._meta.db_table)
    # A pattern index beside that of a unique text column is another kind of index.
    indexes = [
        (tuple(one["columns"]), tuple(one.get("orders") or ()), one["type"])
        for name, one in found.items()
        if one["index"] and not one["check"] and not name.endswith("_like")
    ]
    assert len(indexes) == len(set(indexes)), indexes
