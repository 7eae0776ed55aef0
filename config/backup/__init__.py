"""Backups: one archive of all tables, made while the server writes, and their restore
(docs/decisions/0040-backups.md)."""
