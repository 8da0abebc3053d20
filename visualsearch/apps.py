from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class VisualSearchConfig(AppConfig):
    name = "visualsearch"
    verbose_name = _("Visual search")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from visualsearch import handlers
        from visualsearch.checks import check_configuration, check_database

        checks.register(check_configuration, "visualsearch")
        checks.register(check_database, checks.Tags.database)
        handlers.connect()
