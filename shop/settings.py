"""Settings of the demo shop. Environment: DATABASE_URL, DEBUG, SECRET_KEY, ALLOWED_HOSTS, WEIGHTS, METRICS_TOKEN."""

from __future__ import annotations

import os
from pathlib import Path

import dj_database_url

from shop import secret
from shop.debugging import refuse_strangers

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = BASE_DIR / "var"

DEBUG = os.environ.get("DEBUG", "0") == "1"
SECRET_KEY = os.environ.get("SECRET_KEY") or secret.key(VAR / "secret_key")
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
refuse_strangers(DEBUG, ALLOWED_HOSTS, told=os.environ.get("DEBUG_ANYWHERE") == "1")
CSRF_TRUSTED_ORIGINS = [o for o in os.environ.get("CSRF_TRUSTED_ORIGINS", "").split(",") if o]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_q",
    "easy_thumbnails",
    "visualsearch",
    "visualsearch.contrib.training",
    "catalog",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": dj_database_url.config(default="postgresql:///shop", conn_max_age=60, conn_health_checks=True)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = VAR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # WhiteNoise warns at each start where it is missing
MEDIA_URL = "media/"
MEDIA_ROOT = VAR / "media"
WHITENOISE_USE_FINDERS = True

# Nothing inline, nothing from elsewhere. A customer's photo is shown by addresses that hold it: `data:`, and `blob:`
# before it is sent. What draws the API's description writes styles into its page.
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ["/api/docs/"],
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    },
}

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    # Visitors may search, as they may look at the shop's pages.
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
    # No proxy stands before the demo, so an X-Forwarded-For is the client's own claim: rates go by the real address.
    "NUM_PROXIES": 0,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Demo shop",
    "DESCRIPTION": "Visual search over the demo shop's catalogue.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# A task that was handed out comes again after `retry` seconds unless it was acknowledged: longer than `timeout`, or it
# runs while it still runs. A task that failed (database away, encoder not the index's) is not acknowledged, so it comes
# again too, `max_attempts` times in all; a bad picture fails no task.
Q_CLUSTER = {
    "name": "shop",
    "orm": "default",
    "workers": 1,
    "timeout": 120,
    "retry": 180,
    "poll": 0.2,
    "bulk": 1,
    "queue_limit": 4,
    "save_limit": 250,
    "ack_failures": False,
    "max_attempts": 10,
    "catch_up": False,
    "label": "Queue",
}


def remembered_weights() -> str | None:
    """What the last ``make demo`` was given, so that commands beside it use the same model."""
    path = VAR / "weights"
    return (path.read_text() or None) if path.exists() else None


WEIGHTS = os.environ.get("WEIGHTS", remembered_weights()) or None


VISUALSEARCH: dict[str, object] = {
    "MODEL_CACHE": VAR / "models",
    "WEIGHTS": WEIGHTS,
    "THUMBNAIL": "visualsearch.thumbnails.easy_thumbnails",
    "METRICS_TOKEN": os.environ.get("METRICS_TOKEN"),
}

THUMBNAIL_DEBUG = False
THUMBNAIL_PRESERVE_EXTENSIONS = ("png", "webp")
THUMBNAIL_QUALITY = 82

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "visualsearch": {"handlers": ["console"], "level": "INFO"},
        # Django's own handler is silent where DEBUG is off; an error page should leave its traceback here.
        "django": {"handlers": ["console"], "level": "WARNING", "propagate": False},
    },
}
