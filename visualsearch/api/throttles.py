"""Rates of this API, for each user or, for visitors, each address. They add to the project's own throttles.

The rate of a scope stands in ``REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]``, where ``None`` switches it off; by default
it is ``SIMILAR_RATE`` or ``PHOTO_RATE`` of the VISUALSEARCH setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv6Network, ip_address
from typing import Any, ClassVar

from rest_framework.settings import api_settings
from rest_framework.throttling import UserRateThrottle

from visualsearch.conf import conf


class _OwnRate(UserRateThrottle):
    setting: ClassVar[str]

    def get_ident(self, request: Any) -> str:
        """The visitor's address; of IPv6 the first half, since one line is given all addresses of the second."""
        given = super().get_ident(request)
        with suppress(ValueError):
            address = ip_address(str(given))
            if address.version == 6 and address.ipv4_mapped is None:
                return str(IPv6Network((address, 64), strict=False))
        return str(given)

    def get_rate(self) -> Any:
        rates: Mapping[str, Any] = api_settings.DEFAULT_THROTTLE_RATES or {}
        return rates.get(str(self.scope), getattr(conf, self.setting))


class SimilarThrottle(_OwnRate):
    """Similar products and states, which cost a query each."""

    scope = "visualsearch_similar"
    setting = "SIMILAR_RATE"


class PhotoThrottle(_OwnRate):
    """Searches by photo, which cost decoding and encoding as well."""

    scope = "visualsearch_photo"
    setting = "PHOTO_RATE"
