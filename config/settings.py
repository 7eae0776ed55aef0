"""Parley's settings, by topic. docs/settings.md and .env.example list the variables."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from apps.core.private import private_directory
from config import env

# --- Application ---------------------------------------------------------------------------------
BASE_DIR = env.BASE_DIR
# Ten years: no date gets out of the range that Python and the databases have.
MOST_DAYS = 3650
APP_NAME = env.text("APP_NAME", "parley")
APP_ENV = env.text("APP_ENV", "development", one_of=("development", "test", "production"))
APP_VERSION = env.text("APP_VERSION", "0.1.0")
DEBUG = env.boolean("APP_DEBUG", False)
DATA_DIR = BASE_DIR / "var"
# Where the disk is read-only, what needs the folder says so, and a server may need nothing of it.
with suppress(OSError):
    private_directory(DATA_DIR)
    private_directory(DATA_DIR / "mail")

SAMPLE_SECRET = "your-secret-key-change-this-in-production"  # noqa: S105
SECRET_KEY = env.secret("APP_SECRET_KEY", DATA_DIR / "app-secret")
ALLOWED_HOSTS = env.words("APP_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "config.daphne_app.DaphneConfig",
    "config",
    "apps.core",
    "apps.realtime",
    "apps.accounts",
    "apps.jobs",
    "apps.mail",
    "apps.notifications",
    "apps.posts",
    "apps.chat",
    "apps.rooms",
    "apps.accounts.admin_app.ParleyAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

TASKS = {"default": {"BACKEND": "apps.jobs.backend.JobBackend", "QUEUES": ["default", "upkeep"]}}

# Middleware before ApiMiddleware must not block: without a free thread it runs on the event loop.
MIDDLEWARE = [
    "apps.core.http.middleware.RequestLog",
    "django.middleware.security.SecurityMiddleware",
    "apps.core.http.middleware.ApiHeaders",
    "corsheaders.middleware.CorsMiddleware",
    "apps.core.http.middleware.ApiMiddleware",
    "apps.core.http.pages.PageFiles",
    "apps.core.http.pages.PageSessions",
    "apps.core.http.pages.PageForms",
    "apps.core.http.pages.PageUsers",
    "apps.core.http.pages.PageMessages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Server --------------------------------------------------------------------------------------
SERVER_HOST = env.text("SERVER_HOST", "0.0.0.0")  # noqa: S104
# Platforms that run many programs on a machine say PORT.
SERVER_PORT = env.integer(
    "SERVER_PORT",
    env.integer("PORT", 8080, at_least=1, at_most=65535),
    at_least=1,
    at_most=65535,
)
WEB_CONCURRENCY = env.integer("WEB_CONCURRENCY", 1, at_least=1, at_most=100)
SERVER_READ_TIMEOUT = env.integer("SERVER_READ_TIMEOUT", 30, at_least=1)
SERVER_WRITE_TIMEOUT = env.integer("SERVER_WRITE_TIMEOUT", 30, at_least=1)
SERVER_SHUTDOWN_TIMEOUT = env.integer("SERVER_SHUTDOWN_TIMEOUT", 5, at_least=1)
SERVER_TRUSTED_PROXIES = env.integer("SERVER_TRUSTED_PROXIES", 0, at_most=10)
SERVER_CONNECTIONS_PER_ADDRESS = env.integer("SERVER_CONNECTIONS_PER_ADDRESS", 256)
METRICS_ADDRESSES = env.networks("METRICS_ADDRESSES", "127.0.0.0/8,::1")
BODY_LIMIT = 1024 * 1024

# --- Database ------------------------------------------------------------------------------------
DB_CONNECT_TIMEOUT = env.integer("DB_CONNECT_TIMEOUT", 5, at_most=3600)
DB_STATEMENT_TIMEOUT = env.integer("DB_STATEMENT_TIMEOUT", 30, at_most=86400)
DB_LOCK_TIMEOUT = env.integer("DB_LOCK_TIMEOUT", 5, at_most=86400)
DB_IDLE_TRANSACTION_TIMEOUT = env.integer("DB_IDLE_TRANSACTION_TIMEOUT", 30, at_most=86400)
DB_MAX_OPEN_CONNS = env.integer("DB_MAX_OPEN_CONNS", 25, at_least=4)
DATABASES = {
    "default": {
        **env.database(
            DATA_DIR / "parley.sqlite3",
            connect_timeout=DB_CONNECT_TIMEOUT,
            lock_timeout=DB_LOCK_TIMEOUT,
            prepare=env.boolean("DB_PREPARED_STATEMENTS", True),
        ),
        # Each thread keeps one connection. The number of threads is fixed, see below, so that no
        # other pool of connections is needed.
        "CONN_MAX_AGE": 60 * env.integer("DB_MAX_LIFETIME", 5, at_least=0),
        "CONN_HEALTH_CHECKS": True,
    }
}
# How many threads, and so connections, each thread pool of a process has: those of requests that
# hash a password, that read, that write, and of websockets (docs/decisions/0012-lanes.md).
HASHING_THREADS = min(2, DB_MAX_OPEN_CONNS // 3)
HTTP_THREADS = max(2, min(4, (DB_MAX_OPEN_CONNS - HASHING_THREADS) // 2))
WRITING_THREADS = HTTP_THREADS // 2
READING_THREADS = HTTP_THREADS - WRITING_THREADS
REALTIME_THREADS = min(4, DB_MAX_OPEN_CONNS - HASHING_THREADS - HTTP_THREADS)
# Seconds that a request may wait for a thread (docs/decisions/0012-lanes.md).
THREAD_WAIT = 5.0

# --- Redis, or what replaces it in an installation of one process --------------------------------
REDIS_URL = env.redis_url()
REDIS_POOL_SIZE = env.integer("REDIS_POOL_SIZE", 10, at_least=1, at_most=1000)
REDIS_DATABASES = {
    "main": env.integer("REDIS_MAIN_DB", 0, at_most=1000),
    "cache": env.integer("REDIS_CACHE_DB", 3, at_most=1000),
    "session": env.integer("REDIS_SESSION_DB", 4, at_most=1000),
    "pubsub": env.integer("REDIS_PUBSUB_DB", 1, at_most=1000),
}
# With these a connection that is lost without a word is noticed within 10 seconds.
REDIS_SOCKET: dict[str, Any] = {
    "socket_keepalive": True,
    "socket_keepalive_options": env.keepalive(idle=5, interval=2, count=2),
    "health_check_interval": 5,
}
# What carries wake-ups has no time-out for reading, since a link that is silent is no error; the
# relay notices one that is dead.
REDIS_CLUSTER_URL = env.redis_cluster_url()
REDIS_WAKEUPS_URL = f"{REDIS_URL}/{REDIS_DATABASES['pubsub']}"
REDIS_WAKEUPS_SOCKET: dict[str, Any] = {
    "socket_connect_timeout": 2,
    "socket_timeout": 2,
    "socket_keepalive": True,
    "protocol": 2,
}
CACHES: dict[str, dict[str, Any]]
CHANNEL_LAYERS: dict[str, dict[str, Any]]
if REDIS_URL:
    CACHES = {
        alias: {
            "BACKEND": "django_redis.cache.RedisCache",
            # Aliases with the same address share their connections, and so must have the same
            # time-out.
            "LOCATION": f"{REDIS_URL}/{REDIS_DATABASES[database]}"
            f"?socket_timeout={timeout}&socket_connect_timeout={timeout}",
            "OPTIONS": {
                # A thread that finds every connection in use waits for one; an error would look
                # like a Redis that is down.
                "CONNECTION_POOL_CLASS": "redis.connection.BlockingConnectionPool",
                "CONNECTION_POOL_KWARGS": {
                    "max_connections": REDIS_POOL_SIZE,
                    "timeout": 1,
                    **REDIS_SOCKET,
                },
            },
        }
        # The default alias is the cache, "session" has presence, "main" the rate limits. Requests
        # use the last two, and wait for no longer than a few times what Redis usually takes:
        # without the answer a request is served all the same, while a Redis that hangs would
        # delay every request.
        for alias, database, timeout in (
            ("default", "cache", 1),
            ("session", "session", 0.05),
            ("main", "main", 0.05),
        )
    }
    # For the consumers of features. Hubs have its encoding, and channels of their own
    # (apps/realtime/broker.py).
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {
                "hosts": [{"address": REDIS_WAKEUPS_URL, **REDIS_WAKEUPS_SOCKET}],
                # All databases of a Redis share its channels.
                "prefix": APP_NAME,
            },
        }
    }
    PRESENCE = "apps.realtime.redis_presence.RedisPresence"
    ROOMS = "apps.realtime.redis_rooms.RedisRooms"
    LIMITER = "apps.core.redis_limiter.RedisLimiter"
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    PRESENCE = "apps.realtime.local_presence.LocalPresence"
    ROOMS = "apps.realtime.local_rooms.LocalRooms"
    LIMITER = "apps.core.ratelimit.LocalLimiter"

# --- What a process keeps of what it has read (docs/decisions/0028-hot-reads.md) ------------------
CACHE_MEGABYTES = env.integer("CACHE_MEGABYTES", 64, at_least=1, at_most=65536)
CACHE_SECONDS = env.integer("CACHE_SECONDS", 5, at_most=3600)

# --- Accounts and tokens -------------------------------------------------------------------------
# Django and REST framework read the names of the user model, the hasher and the authentication from
# here, before any app is loaded. Everything else that an app brings is declared in its folder.
AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = ["apps.accounts.passwords.Argon2Hasher"]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("name", "email")},
    },
    *(
        {"NAME": f"django.contrib.auth.password_validation.{name}Validator"}
        for name in ("MinimumLength", "CommonPassword", "NumericPassword")
    ),
]
JWT_SECRET = env.secret("JWT_SECRET", DATA_DIR / "jwt-secret")
JWT_ISSUER = env.text("JWT_ISSUER", "parley")
SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": JWT_SECRET,
    "ISSUER": JWT_ISSUER,
    "ACCESS_TOKEN_LIFETIME": timedelta(
        minutes=env.integer("JWT_ACCESS_EXPIRY", 15, at_least=1, at_most=MOST_DAYS * 1440)
    ),
    "REFRESH_TOKEN_LIFETIME": timedelta(
        hours=env.integer("JWT_REFRESH_EXPIRY", 168, at_least=1, at_most=MOST_DAYS * 24)
    ),
    # Clocks of machines differ: a token from one that is ahead must not seem to be of the future.
    "LEEWAY": timedelta(seconds=10),
    "USER_ID_CLAIM": "userId",
    "TOKEN_TYPE_CLAIM": "typ",
}

# --- REST ----------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.accounts.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["apps.core.http.envelope.EnvelopeRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "apps.core.http.negotiation.JSONNegotiation",
    "DEFAULT_PARSER_CLASSES": ["apps.core.http.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "apps.core.http.schema.EnvelopeSchema",
    "EXCEPTION_HANDLER": "apps.core.http.handler.handle",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Parley",
    "DESCRIPTION": "Accounts, posts and realtime chat.",
    "VERSION": APP_VERSION,
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "SERVERS": [{"url": "/", "description": "The server that shows this document"}],
    "EXTERNAL_DOCS": {"url": "/docs/realtime", "description": "The websocket, at /ws"},
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "/static/favicon.svg",
    "SWAGGER_UI_SETTINGS": {
        "deepLinking": True,
        "docExpansion": "none",
        "defaultModelsExpandDepth": 0,
        "persistAuthorization": True,
    },
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "OAS_VERSION": "3.1.0",
    "COMPONENT_SPLIT_PATCH": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": [
        "apps.core.http.schema_enums.name_enums",
        "config.api_document.complete",
    ],
}
RATE_LIMIT_REQUESTS_PER_SECOND = env.integer("RATE_LIMIT_REQUESTS_PER_SECOND", 100, at_least=1)
RATE_LIMIT_BURST = env.integer("RATE_LIMIT_BURST", 200, at_least=1)
# How many times a minute an action is allowed, by name, where that differs from the declaration of
# its feature.
ACTION_LIMITS: Mapping[str, int] = {}

# --- Websockets ----------------------------------------------------------------------------------
WEBSOCKET_QUERY_TOKEN = env.boolean("WEBSOCKET_QUERY_TOKEN", True)
EVENT_RETENTION = timedelta(
    days=env.integer("EVENT_RETENTION_DAYS", 7, at_least=1, at_most=MOST_DAYS)
)

# --- Browsers ------------------------------------------------------------------------------------
CORS_ALLOWED_ORIGINS = env.words(
    "CORS_ALLOWED_ORIGINS", "http://localhost:3000,http://localhost:3001"
)
CORS_ALLOW_METHODS = env.words("CORS_ALLOWED_METHODS", "GET,POST,PUT,PATCH,DELETE,OPTIONS")
CORS_ALLOW_HEADERS = env.words(
    "CORS_ALLOWED_HEADERS",
    "Origin,Content-Type,Accept,Authorization,Idempotency-Key,If-Match,If-None-Match,X-Request-ID",
)
CORS_ALLOW_CREDENTIALS = env.boolean("CORS_ALLOW_CREDENTIALS", True)
CORS_EXPOSE_HEADERS = ["ETag", "X-Request-ID", "Retry-After", "Idempotent-Replayed"]
CORS_URLS_REGEX = r"^/api/"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = APP_ENV == "production"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Sent over TLS only, which ends at a proxy. The proxy also redirects browsers to TLS. Subdomains of
# this host and the preload lists of browsers are not for one server to decide.
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if APP_ENV == "production" else 0
# PageForms, which is Django's middleware against forged requests, is not known by its name.
SILENCED_SYSTEM_CHECKS = [f"security.{check}" for check in ("W003", "W005", "W008", "W021")]
if SERVER_TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- Static files --------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
with suppress(OSError):
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
# Whitenoise finds the files in the packages, so that a fresh clone needs no collectstatic.
WHITENOISE_USE_FINDERS = True

# --- Mail ----------------------------------------------------------------------------------------
# Where clients reach the server: what links in mails begin with.
APP_URL = env.web_address("APP_URL", f"http://localhost:{SERVER_PORT}")
MAIL_SERVER = env.mail_server("EMAIL_URL", "file:")
EMAIL_BACKEND = f"django.core.mail.backends.{MAIL_SERVER.backend}.EmailBackend"
EMAIL_FILE_PATH = DATA_DIR / "mail"
EMAIL_HOST, EMAIL_PORT = MAIL_SERVER.host, MAIL_SERVER.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL_SERVER.user, MAIL_SERVER.password
EMAIL_USE_TLS, EMAIL_USE_SSL = MAIL_SERVER.starttls, MAIL_SERVER.tls
EMAIL_TIMEOUT = 10
SERVER_EMAIL = DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", "parley@localhost")

# --- Web push ------------------------------------------------------------------------------------
VAPID_SECRET = env.secret("VAPID_SECRET", DATA_DIR / "vapid-secret")

# --- Error reports -------------------------------------------------------------------------------
ADMIN_EMAILS = env.emails("ADMIN_EMAILS")
# For `manage.py sendtestemail --admins`.
ADMINS = [(address, address) for address in ADMIN_EMAILS]
SENTRY_DSN = env.sentry_dsn("SENTRY_DSN")

# --- Logs ----------------------------------------------------------------------------------------
LOG_LEVEL = env.text("LOG_LEVEL", "info", one_of=("debug", "info", "warning", "error"))
LOG_FORMAT = env.text("LOG_FORMAT", "console", one_of=("json", "console"))
LOG_OUTPUT = env.text("LOG_OUTPUT", "stdout", one_of=("stdout", "stderr", "file"))
LOG_FILE_PATH = env.log_file("LOG_FILE_PATH", "./logs/app.log", used=LOG_OUTPUT == "file")
LOG_CLIENT_ADDRESS = env.text("LOG_CLIENT_ADDRESS", "area", one_of=("full", "area", "none"))
LOGGING_CONFIG = "apps.core.logs.configure"
LOGGING = {
    "level": LOG_LEVEL,
    "format": LOG_FORMAT,
    "output": LOG_OUTPUT,
    "path": LOG_FILE_PATH,
    "admin_emails": ADMIN_EMAILS,
    "sentry": {"dsn": SENTRY_DSN, "environment": APP_ENV, "release": APP_VERSION}
    if SENTRY_DSN
    else None,
}
