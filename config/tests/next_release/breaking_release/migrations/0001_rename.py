"""Against the rule: a column that this release uses gets another name at once."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("next_release", "0001_expand")]
    operations = [migrations.RunSQL("ALTER TABLE posts_post RENAME COLUMN like_count TO likes")]
