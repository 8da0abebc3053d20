"""Rates behind a proxy, what is logged, and where the demo does not run."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client

from shop.debugging import LOCAL, refuse_strangers
from tests import shelf
from tests.processes import ROOT
from tests.security.conftest import Shop

SEARCH = "/api/visualsearch/product/search/"
STATE = "/api/visualsearch/product/%s/state/"


@pytest.mark.django_db
def test_rates_count_the_client_and_not_what_it_claims(shop: Shop, settings: Any, use_settings: Any) -> None:
    """Behind one proxy the last address is the proxy's word; all before it are the client's."""
    use_settings(SIMILAR_RATE="2/min")
    address = STATE % shop.shown[0].pk

    def answers(proxies: int, *addresses: str, remote: str = "10.0.0.1") -> list[int]:
        settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": proxies}
        return [Client(REMOTE_ADDR=remote, HTTP_X_FORWARDED_FOR=one).get(address).status_code for one in addresses]

    assert answers(1, "1.1.1.1, 7.7.7.7", "2.2.2.2, 7.7.7.7", "3.3.3.3, 7.7.7.7") == [200, 200, 429]
    assert answers(1, "8.8.8.8", "8.8.8.8", "8.8.8.8") == [200, 200, 429]  # another client of the same proxy
    assert answers(2, "5.5.5.5, 9.9.9.9, 10.0.0.2", "6.6.6.6, 9.9.9.9, 10.0.0.2", "9.9.9.9, 1.2.3.4") == [200, 200, 429]
    assert answers(0, "1.1.1.1", "2.2.2.2", "3.3.3.3", remote="10.9.9.9") == [200, 200, 429]
    own = ("2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:ffff::3", "2001:db8:1:3::1")
    assert answers(1, *own) == [200, 200, 429, 200]  # one line has 2 ** 64 addresses


@pytest.mark.django_db
def test_no_secret_and_nothing_of_a_customer_is_logged(
    shop: Shop, client: Client, settings: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searches that succeed, are refused and break: no key, password, token, address or file name is written."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("django").propagate = True
    client.raise_request_exception = False
    headers = {"authorization": "Basic c2VjcmV0", "cookie": "sessionid=s3cr3t", "x-forwarded-for": "203.0.113.77"}
    photo = base64.b64encode(shelf.picture()).decode()
    token = client.post(SEARCH, {"image": photo}, content_type="application/json").json()["query"]
    named = shelf.upload(b"no picture", name="holiday-of-ann.jpg")
    client.post(SEARCH, {"image": named}, headers=headers)
    client.post(SEARCH, {"query": token}, headers=headers)
    client.post(SEARCH, {"query": token[:-1]}, headers=headers)
    monkeypatch.setattr("visualsearch.api.views.search_by_image", lambda *args, **kwargs: 1 / 0)
    assert client.post(SEARCH, {"query": token}, headers=headers).status_code == 500
    formatter = logging.Formatter("%(levelname)s %(name)s: %(message)s")
    ours = [record for record in caplog.records if not record.name.startswith(("django.db", "asyncio", "PIL"))]
    written = "\n".join(formatter.format(record) for record in ours)
    assert "ZeroDivisionError" in written  # the break is in the log
    database = settings.DATABASES["default"]
    secrets = [
        settings.SECRET_KEY,
        database.get("PASSWORD"),
        token[:60],
        photo[:60],
        "c2VjcmV0",
        "s3cr3t",
        "holiday-of",
    ]
    for secret in [*secrets, "203.0.113.77"]:
        assert not secret or secret not in written


def test_debug_is_for_this_machine_alone() -> None:
    refuse_strangers(True, sorted(LOCAL), told=False)
    refuse_strangers(False, ["shop.example"], told=False)
    refuse_strangers(True, ["shop.example"], told=True)
    for host in ("shop.example", "*", ".example", "192.168.1.4", ""):
        with pytest.raises(SystemExit, match="DEBUG_ANYWHERE"):
            refuse_strangers(True, ["localhost", host], told=False)


def test_the_demo_refuses_to_run_with_debug_elsewhere() -> None:
    own = {"DEBUG": "1", "ALLOWED_HOSTS": "shop.example", "DJANGO_SETTINGS_MODULE": "shop.settings", "SECRET_KEY": "x"}
    process = subprocess.run(
        [sys.executable, "-c", "import shop.settings"],
        cwd=ROOT,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 1
    assert process.stderr.startswith(
        "DEBUG=1 shows settings and code to everybody, and ALLOWED_HOSTS names shop.example"
    )
    assert "Traceback" not in process.stderr
