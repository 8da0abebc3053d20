"""Requests that schemathesis makes of the OpenAPI description, right ones and wrong ones: each is answered as it says.

EXAMPLES in the environment is how many there are of each address; 700 make more than 2,000.
"""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core import signals
from django.core.cache import cache
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, reject, settings, strategies
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi_checks

from catalog.models import ProductImage
from tests import shelf
from tests.search.crowd import around, crowd
from visualsearch import search_by_image

EXAMPLES = int(os.environ.get("EXAMPLES", "60"))
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.response_headers_conformance,
]


@schemathesis.serializer("image/jpeg", "image/png", "image/webp")
def _picture(context: Any, value: Any) -> Any:
    return value if isinstance(value, bytes) else str(value).encode()


def _described() -> Any:
    out = io.StringIO()
    call_command("spectacular", "--format", "openapi-json", stdout=out)
    return json.loads(out.getvalue())


@pytest.fixture
def description(db: None, use_settings: Any, media: Path) -> Iterator[Any]:
    """The shop's own, of an app with products and an encoder that looks at parts of pictures; half of the requests name
    a product, or hold a token or a real picture."""
    use_settings(
        SIMILAR_RATE="9999/s",
        PHOTO_RATE="9999/s",
        STORE="tests.search.crowd.QuickStore",
        ENCODER="tests.search.palette.PaletteEncoder",
    )
    products = crowd(around([number * 0.1 for number in range(20)]))
    picture = shelf.picture((220, 30, 30))
    media.mkdir(exist_ok=True)
    for image in ProductImage.objects.all():
        (media / str(image.image)).write_bytes(picture)
    token = search_by_image(picture).query
    schema = schemathesis.openapi.from_dict(_described())
    schema.app = get_wsgi_application()

    @schema.hook
    def map_path_parameters(context: Any, path_parameters: Any) -> Any:
        if path_parameters and "product" in path_parameters and len(str(path_parameters["product"])) % 2:
            path_parameters["product"] = products[len(str(path_parameters)) % 20].pk
        return path_parameters

    @schema.hook
    def map_query(context: Any, query: Any) -> Any:
        for name in ("like", "unlike"):
            if query and isinstance(query.get(name), list) and len(query[name]) % 2:
                query[name] = [products[3].pk, products[4].pk]
        return query

    @schema.hook
    def map_body(context: Any, body: Any) -> Any:
        if isinstance(body, dict) and len(body) % 2:
            body = {name: value for name, value in body.items() if name not in ("image", "query")}
            body["query"] = token
        elif isinstance(body, dict) and "image" in body:
            body["image"] = base64.b64encode(picture).decode() if isinstance(body["image"], str) else picture
        return body

    # As Django's own test client does: a request's end would close the connection of the test's transaction.
    signals.request_started.disconnect(close_old_connections)
    signals.request_finished.disconnect(close_old_connections)
    yield schema
    signals.request_started.connect(close_old_connections)
    signals.request_finished.connect(close_old_connections)
    cache.clear()


@strategies.composite
def drawn(draw: Any, requests: Any) -> Any:
    """A request. One in thousands stops schemathesis itself, which cannot tell the type of bytes that it has drawn;
    that one is drawn anew."""
    try:
        return draw(requests)
    except ValueError as fault:
        if str(fault) != "Unsupported type: 'Binary'":
            raise
        reject()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_is_answered_as_nobody_said(description: Any, mode: GenerationMode) -> None:
    operations = [found.ok() for found in description.get_all_operations()]
    addresses = [operation for operation in operations if "visualsearch" in operation.path]
    assert len(addresses) == 3
    for operation in addresses:

        @settings(
            max_examples=EXAMPLES // 2,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=drawn(operation.as_strategy(generation_mode=mode)))
        def answered(case: Any) -> None:
            case.call_and_validate(checks=CHECKS)

        answered()
