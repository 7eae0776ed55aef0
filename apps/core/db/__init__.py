"""What the database needs beyond the ORM."""
