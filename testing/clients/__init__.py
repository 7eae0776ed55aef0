"""openapi.yaml as its readers use it: a linter, and clients that are generated from it."""
