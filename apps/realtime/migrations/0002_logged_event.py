from django.db import migrations


class Migration(migrations.Migration):
    """Renames the class alone; the table keeps its name."""

    dependencies = [("realtime", "0001_initial")]

    operations = [
        migrations.AlterModelTable("Event", "realtime_event"),
        migrations.RenameModel("Event", "LoggedEvent"),
    ]
