"""By the rule: a column that this release does not know, with a default of the database."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("posts", "0002_lists_by_status")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE posts_post ADD COLUMN mood varchar(20) NOT NULL DEFAULT 'calm'"
        )
    ]
