# Everything that is done with Parley. `make` alone lists it.
.DEFAULT_GOAL := help

VENV := .venv
PYTHON := $(VENV)/bin/python
MANAGE := $(PYTHON) manage.py
# Each stamp is newer than the lock files whose packages it says are installed.
RUNTIME := $(VENV)/.installed
DEVELOPMENT := $(VENV)/.installed-dev
CLIENTS := testing/clients
CLIENT_TOOLS := $(CLIENTS)/node_modules/.installed
# Without a developer's own .env, so that the committed file is the same for everyone.
SPECTACULAR := APP_ENV=test $(MANAGE) spectacular --validate
ASYNCAPI := APP_ENV=test $(MANAGE) asyncapi
FRAME_TYPES := static/parley/frames.d.ts
INSTALL := $(PYTHON) -m pip install -qq --disable-pip-version-check --require-hashes
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-header

# A setting as the server reads it: the environment first, then .env, then the default.
setting = $(or $($(1)),$(shell sed -n 's/^$(1)=//p' .env 2>/dev/null | tail -n 1),$(2))
HTTP_PORT = $(call setting,SERVER_PORT,$(call setting,PORT,8080))
REDIS_DIRECTORY := var/redis
# The wheel of the development requirements carries Redis for machines that have none.
REDIS_PATH := PATH="$$PATH:$(CURDIR)/$(VENV)/bin"
REDIS_PASSWORD_GIVEN = $(call setting,REDIS_PASSWORD)
REDIS_AUTH = $(if $(REDIS_PASSWORD_GIVEN),REDISCLI_AUTH="$(REDIS_PASSWORD_GIVEN)") $(REDIS_PATH)
REDIS_CLI = $(REDIS_AUTH) redis-cli \
	-h $(call setting,REDIS_HOST,127.0.0.1) -p $(call setting,REDIS_PORT,6379)
# Only our own server listens on this socket, so no other one can be stopped by mistake.
OWN_REDIS_CLI = cd $(REDIS_DIRECTORY) 2>/dev/null && $(REDIS_AUTH) redis-cli -s redis.sock

# Asks before what cannot be taken back. Without a terminal only sure=yes goes on.
define ask
test "$(sure)" = yes || { \
	test -t 0 || { echo "Nobody can be asked here. To go on without a question add: sure=yes"; exit 1; }; \
	printf 'Type yes to go on: '; read -r answer; \
	test "$$answer" = yes || { echo "Nothing was changed."; exit 1; }; }
endef

## Serve

run: $(RUNTIME) ## Install what is missing, migrate and serve on SERVER_PORT (8080)
	@exec $(MANAGE) serve --migrate

dev: $(DEVELOPMENT) ## The same, and again after each change of the sources
	@exec $(MANAGE) serve --migrate --reload

demo: $(RUNTIME) ## Fill the database with people, posts and conversations
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) demo

admin: $(RUNTIME) ## Make an administrator, who is asked for in the terminal
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) create_admin

ws-health: $(RUNTIME) ## Show what /health of the running server says, its websockets included
	@$(PYTHON) -c 'from urllib.request import urlopen; \
	print(urlopen("http://127.0.0.1:$(HTTP_PORT)/health", timeout=5).read().decode())' \
	2>/dev/null || { echo "No server answers on port $(HTTP_PORT); start one with: make run"; exit 1; }

build: $(RUNTIME) ## Compile to byte code and collect the static files (image: docker compose build)
	@$(PYTHON) -m compileall -q apps config manage.py
	@$(MANAGE) collectstatic --noinput --verbosity 0
	@echo "Ready: byte code beside the sources, static files in var/static."

## Test

test: $(DEVELOPMENT) ## The whole suite, on SQLite and then on PostgreSQL and Redis
	@$(PYTHON) -m testing.suite

test-integration: $(DEVELOPMENT) ## Only the tests with real server processes, on both backends
	@$(PYTHON) -m testing.suite -m integration

test-starts: $(DEVELOPMENT) ## Ten times: eight processes migrate one empty database, on both backends
	@PARLEY_ROUNDS=10 $(PYTHON) -m testing.suite config/tests/test_migrating.py

browser: $(DEVELOPMENT) ## Install Chromium on Debian and Ubuntu, for the tests that need a browser
	@$(PYTHON) -m testing.browser 2>/dev/null || { \
		test "$$(id -u)" = 0 || sudo=sudo; \
		$$sudo apt-get update --quiet && $$sudo apt-get install --yes --quiet --no-install-recommends chromium; }

# The list of CI; the cheap steps come first, two at a time, and the tests last.
CHECKS := check-format check-lint check-types check-layers check-migrations check-schema \
	check-dependencies check-image check-clients check-fuzz

check: $(DEVELOPMENT) ## Everything that CI runs
	@$(MAKE) --no-print-directory --jobs=2 $(CHECKS)
	@$(MAKE) --no-print-directory drill-short chaos-short test

check-format: $(DEVELOPMENT) ## Sources are formatted
	@$(VENV)/bin/ruff format --check .

check-lint: $(DEVELOPMENT) ## Sources keep the rules of pyproject.toml
	@$(VENV)/bin/ruff check .

check-types: $(DEVELOPMENT) ## Types agree
	@$(VENV)/bin/mypy .

check-layers: $(DEVELOPMENT) ## Imports go down only
	@$(VENV)/bin/lint-imports

check-migrations: $(DEVELOPMENT) ## Models have their migrations, and none breaks a process that still runs
	@$(MANAGE) makemigrations --check --dry-run --settings config.settings_test
	@$(MANAGE) lintmigrations --no-cache --ignore-initial-migrations --settings config.settings_test

check-schema: $(DEVELOPMENT) ## openapi.yaml and asyncapi.yaml are what the code says
	@install -d -m 700 var
	@$(ASYNCAPI) --file var/asyncapi.yaml --types var/frames.d.ts
	@diff -u asyncapi.yaml var/asyncapi.yaml && diff -u $(FRAME_TYPES) var/frames.d.ts || \
		{ echo "asyncapi.yaml is stale; run: make asyncapi"; exit 1; }
	@$(SPECTACULAR) --file var/openapi.yaml --fail-on-warn
	@diff -u openapi.yaml var/openapi.yaml || { echo "openapi.yaml is stale; run: make swagger"; exit 1; }

check-dependencies: $(DEVELOPMENT) ## Every dependency is declared and used
	@$(VENV)/bin/deptry .

check-image: $(DEVELOPMENT) ## The Dockerfile keeps the rules of hadolint, on machines that it has a wheel for
	@test ! -x $(VENV)/bin/hadolint || $(VENV)/bin/hadolint Dockerfile

check-clients: $(CLIENT_TOOLS) ## Clients generated from openapi.yaml work; needs Node.js 20.19 or newer
	@$(PYTHON) -m testing.clients

check-fuzz: $(DEVELOPMENT) ## No input to any route makes a 5xx or leaves the envelope
	@$(PYTHON) -m testing.fuzz

# Named behind it, or alone, each of these is measured without the others: make bench reads writes
BENCHMARKS := reads writes split kept http fanout connects memory polls messages neighbours growth prune jobs notifications

bench: $(DEVELOPMENT) ## Measure all, or what is named behind it, each figure beside its limit
	@$(PYTHON) -m bench $(filter $(BENCHMARKS),$(MAKECMDGOALS))

$(BENCHMARKS): bench
	@:

drill: $(DEVELOPMENT) ## Play docs/operations.md: install, PostgreSQL, TLS, restore, upgrade under load, way back
	@$(PYTHON) -m testing.drill

drill-short: $(DEVELOPMENT) ## The same with the packages that are installed here
	@$(PYTHON) -m testing.drill short

chaos: $(DEVELOPMENT) ## Let all parts fail under load, and see that no message is lost; 150 minutes
	@$(PYTHON) -m testing.chaos

chaos-short: $(DEVELOPMENT) ## The same, each fault once
	@$(PYTHON) -m testing.chaos short

restore-drill: $(DEVELOPMENT) ## Back up and restore a million messages on both kinds of databases: [messages=N]
	@$(PYTHON) -m bench.restore_drill $(messages)

## Change

format: $(DEVELOPMENT) ## Format the sources and repair what can be repaired
	@$(VENV)/bin/ruff check --fix-only --quiet .
	@$(VENV)/bin/ruff format .

swagger: $(RUNTIME) ## Write openapi.yaml from the views
	@$(SPECTACULAR) --file openapi.yaml

asyncapi: $(RUNTIME) ## Write asyncapi.yaml, and types for TypeScript, from the declared events, commands and streams
	@$(ASYNCAPI) --file asyncapi.yaml --types $(FRAME_TYPES)

lock: $(DEVELOPMENT) ## Pin the requirements anew after a change to a .in file
	@$(COMPILE) requirements.in --output-file requirements.txt
	@$(COMPILE) requirements-dev.in --output-file requirements-dev.txt
	@$(COMPILE) requirements-sentry.in --output-file requirements-sentry.txt

## Migrate

migrate-create: $(DEVELOPMENT) ## Write the migration of changed models: name=X, optionally app=Y
	@test -n "$(name)" || { echo "Say which: make migrate-create name=add_title [app=posts]"; exit 1; }
	@$(MANAGE) makemigrations $(app) --name "$(name)"
	@$(VENV)/bin/ruff format --quiet apps/*/migrations

migrate-up: $(RUNTIME) ## Apply all migrations
	@$(MANAGE) migrate

migrate-down: $(RUNTIME) ## Take back the last migration of one app, with what it stored: app=Y
	@test -n "$(app)" || { echo "Say whose: make migrate-down app=posts"; exit 1; }
	@applied=$$($(MANAGE) showmigrations "$(app)" --plan) || exit 1; \
	applied=$$(printf '%s\n' "$$applied" | sed -n 's/^\[X\]  $(app)\.//p'); \
	test -n "$$applied" || { echo "No migration of $(app) is applied."; exit 1; }; \
	before=$$(printf '%s\n' "$$applied" | tail -n 2 | sed '$$d'); \
	echo "This takes back $(app).$$(printf '%s\n' "$$applied" | tail -n 1)"; \
	echo "what its tables and columns hold is lost. python manage.py backup keeps it."; \
	$(ask); \
	$(MANAGE) migrate "$(app)" "$${before:-zero}"

migrate-force: $(RUNTIME) ## Record a version as applied without running it: version=N app=Y
	@test -n "$(version)" && test -n "$(app)" || \
		{ echo "Say what and whose: make migrate-force version=0002 app=posts"; exit 1; }
	@$(MANAGE) migrate --fake "$(app)" "$$(printf '%4s' '$(version)' | tr ' ' 0)"

## Redis

redis-start: $(DEVELOPMENT) ## Start a Redis of our own on REDIS_PORT (6379)
	@if $(REDIS_CLI) ping >/dev/null 2>&1; then \
		echo "A server already answers there; nothing was started."; exit 0; fi; \
	install -d -m 700 var $(REDIS_DIRECTORY) && cd $(REDIS_DIRECTORY) && umask 077 && \
	$(REDIS_PATH) redis-server --bind 127.0.0.1 --port $(call setting,REDIS_PORT,6379) \
		--requirepass "$(REDIS_PASSWORD_GIVEN)" --unixsocket redis.sock --dir . \
		--appendonly yes --maxmemory-policy noeviction --logfile redis.log --daemonize yes && \
	for try in 1 2 3 4 5 6 7 8 9 10; do \
		$(REDIS_CLI) ping >/dev/null 2>&1 && { echo "Redis is up."; exit 0; }; sleep 0.3; done; \
	tail -n 5 redis.log; exit 1

redis-stop: ## Stop that Redis; no other one is touched
	@$(OWN_REDIS_CLI) shutdown 2>/dev/null && echo "Redis is stopped." || echo "No Redis of ours is running."

redis-cli: $(DEVELOPMENT) ## Talk to Redis
	@$(REDIS_CLI)

redis-monitor: $(DEVELOPMENT) ## Watch the commands that Redis gets
	@$(REDIS_CLI) monitor

## Containers

ps: ## Show the containers of docker compose
	@docker compose ps

logs: ## Follow the logs of the containers
	@docker compose logs --follow

## Clean

clean: ## Remove what builds and tests leave behind
	@find . -name __pycache__ -type d -not -path "./$(VENV)/*" -prune -exec rm -rf {} +
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache var/static \
		$(CLIENTS)/generated

clean-all: ## Remove also the environment and var: our Redis, the embedded database, backups
	@echo "This removes $(VENV) and all of var:"
	@du -sh var/* 2>/dev/null | sed 's/^/  /' || true
	@$(ask)
	@$(MAKE) --no-print-directory redis-stop clean
	@rm -rf $(VENV) var $(CLIENTS)/node_modules

help: ## List these commands
	@awk -F ':.*## ' \
		'/^## / { printf "\n%s\n", substr($$0, 4) } \
		/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' Makefile

# --- The environment: made by the first command that needs it -------------------------------------

# A machine's python3 may be too old while a newer one stands beside it.
$(PYTHON):
	@for python in python3 python3.14 python3.13 python3.12 python3.11; do \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
		python=; \
	done; \
	test -n "$$python" || { echo "Parley needs Python 3.11 or newer, and none is on the PATH."; exit 1; }; \
	echo "Making $(VENV) with $$($$python --version) ..."; \
	trap 'rm -rf $(VENV); exit 130' INT TERM; \
	$$python -m venv --clear $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module is incomplete; on Debian and Ubuntu: apt install python3-venv"; \
		exit 1; }

$(RUNTIME): requirements.txt $(PYTHON)
	@echo "Installing requirements.txt ..."
	@$(INSTALL) -r requirements.txt
	@touch $@

$(DEVELOPMENT): requirements-dev.txt $(RUNTIME)
	@echo "Installing requirements-dev.txt ..."
	@$(INSTALL) -r requirements.txt -r requirements-dev.txt
	@touch $@

# Node.js comes from the machine: `apt install nodejs npm`, or from nodejs.org.
$(CLIENT_TOOLS): $(CLIENTS)/package.json $(CLIENTS)/package-lock.json $(DEVELOPMENT)
	@node -e 'process.exit(+(process.versions.node.localeCompare("20.19", "en", {numeric: true}) < 0))' \
		2>/dev/null && command -v npm >/dev/null || { \
		echo "The generated clients need Node.js 20.19 or newer with npm, and none is on the PATH."; exit 1; }
	@echo "Installing $(CLIENTS)/package-lock.json ..."
	@cd $(CLIENTS) && npm ci --ignore-scripts --loglevel=error
	@touch $@

.PHONY: run dev demo admin ws-health build test test-integration test-starts browser check $(CHECKS) bench $(BENCHMARKS) \
	drill drill-short chaos chaos-short restore-drill \
	format swagger asyncapi lock migrate-create migrate-up migrate-down migrate-force redis-start redis-stop \
	redis-cli redis-monitor ps logs clean clean-all help
