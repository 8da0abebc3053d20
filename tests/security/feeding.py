"""A shop that is fed hostile files, in a process of its own: ``python -m tests.security.feeding WAY FOLDER``.

By ``search`` each goes through the API; by ``import`` all go through ``catalog_import``, which reads in four threads,
and the index. Prints one line of JSON. The shop is the one of DATABASE_URL, its encoder the one in the package.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FORMS = ("raw", "form", "json")


def main(way: str, folder: Path) -> None:
    import django

    from tests.memory import peak

    django.setup()
    warnings.simplefilter("error")
    log = io.StringIO()
    logging.basicConfig(stream=log, level=logging.WARNING, force=True)
    if way == "search":
        warm_up()
        found: dict[str, Any] = {"answers": dict(map(searched, enumerate(sorted(folder.iterdir()))))}
    else:
        summary, failures, seconds = imported(folder)
        found = {"summary": summary, "failures": failures, "seconds": seconds, "states": indexed()}
    print(json.dumps({**found, "peak_mb": peak(), "log": log.getvalue()}))


def warm_up() -> None:
    """A product to find, and the model in memory."""
    from tests import shelf

    shelf.make_product(shelf.picture(kind="JPEG"), title="Good")
    shelf.index_everything()


def searched(numbered: tuple[int, Path]) -> tuple[str, tuple[int, str, float]]:
    """Status, code and seconds of processor time of a search with the file, in one of the three forms of a body."""
    import base64

    from django.core.files.uploadedfile import SimpleUploadedFile
    from django.db import connection
    from django.test import Client

    number, path = numbered
    content, address = path.read_bytes(), "/api/visualsearch/product/search/"
    client = Client(headers={"host": "localhost"}, raise_request_exception=False)
    started = time.thread_time()
    match FORMS[number % 3] if content else "form":  # no body at all is a missing picture, not an empty one
        case "raw":
            answer = client.post(address, content, content_type="image/jpeg")
        case "form":
            answer = client.post(address, {"image": SimpleUploadedFile(path.name, content)})
        case _:
            body = b'{"image": "' + base64.b64encode(content) + b'"}'
            answer = client.post(address, body, content_type="application/json")
    seconds = time.thread_time() - started
    connection.close()
    return path.name, (answer.status_code, answer.json().get("code", ""), seconds)


@contextmanager
def timed_pictures(seconds: dict[str, float]) -> Iterator[None]:
    """Takes the processor time of each file that the import reads."""
    from catalog.importing import rows

    inspect, lock = rows.inspect, threading.Lock()

    def timed(path: Path, *arguments: Any) -> Any:
        started = time.thread_time()
        try:
            return inspect(path, *arguments)
        finally:
            with lock:
                seconds[path.name] = time.thread_time() - started

    rows.inspect = timed
    yield
    rows.inspect = inspect


def imported(folder: Path) -> tuple[str, list[str], dict[str, float]]:
    """What ``catalog_import`` says at its end, the line of each file that it refuses, and seconds for each file."""
    from django.core.management import CommandError, call_command

    out, err, seconds = io.StringIO(), io.StringIO(), dict[str, float]()
    with timed_pictures(seconds):
        try:
            call_command("catalog_import", str(folder), stdout=out, stderr=err)
        except CommandError as error:  # that some files failed
            out.write(str(error))
    return out.getvalue(), err.getvalue().splitlines(), seconds


def indexed() -> dict[str, tuple[str, str]]:
    """State and reason of each imported file, by its name, once all are indexed."""
    from catalog.models import ProductImage
    from tests import shelf
    from visualsearch.models import ImageEmbedding

    shelf.index_everything()
    names = {str(pk): Path(origin).name for pk, origin in ProductImage.objects.values_list("pk", "origin") if origin}
    rows = ImageEmbedding.objects.values_list("object_id", "state", "reason")
    return {names[str(pk)]: (state, reason) for pk, state, reason in rows if str(pk) in names}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
