"""Requests to gunicorn as the demo runs it: how long they take, how many it answers, and what a web worker grows to."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from PIL import Image

from benchmarks.gallery import cached_vectors, fill
from benchmarks.gallery import pictures as gallery_pictures
from benchmarks.stage import CannotMeasure, milliseconds, percentile, pictures, say, started
from catalog.models import Product
from shop.demo import ENVIRONMENT, web
from visualsearch.conf import conf
from visualsearch.encoders import get_encoder
from visualsearch.images import open_image
from visualsearch.sources import get_source

IMAGES, QUICK_IMAGES = 20_000, 40
IMAGES_PER_PRODUCT = 2
REQUESTS, QUICK_REQUESTS = 300, 5  # of each kind, one after the other
CLIENTS, SECONDS, QUICK_SECONDS = 8, 15.0, 0.5
GROWTH, QUICK_GROWTH = (1000, 5000), (10, 20)  # requests after which the worker's memory is read
PHOTO_EVERY = 10  # of the requests before that: one photo, nine products
OPTIONS = {"focus": "focus=auto", "objects": "objects=true", "explain": "explain=true"}
MEGABYTE = 2**20
UNLIMITED = "1000000/s"


class Request(NamedTuple):
    """One request; with a body, a picture that is posted."""

    path: str
    body: bytes | None = None


class Connection:
    """A client that keeps its connection, as browsers and mobile apps do."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def seconds(self, request: Request) -> float:
        """From sending to the last byte of the answer. Raises CannotMeasure for any other answer than 200."""
        start = time.perf_counter()
        method, headers = ("GET", {}) if request.body is None else ("POST", {"Content-Type": "image/jpeg"})
        self.connection.request(method, request.path, request.body, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        took = time.perf_counter() - start
        if answer.status != 200:
            raise CannotMeasure(f"{request.path} answered {answer.status}: {content[:200]!r}")
        return took


def measure(*, quick: bool) -> dict[str, Any]:
    filled(QUICK_IMAGES if quick else IMAGES, quick=quick)
    count = QUICK_REQUESTS if quick else REQUESTS
    products = keys(count)
    similar = [Request(f"/api/visualsearch/product/{key}/similar/?limit=10") for key in products]
    bare = [Request(f"/bare/{key}/") for key in products]
    small, large = photos(640, 8), photos(4000, 1 if quick else 3)
    with server() as (port, process):
        client = Connection(port)
        for request in (*similar[:20], *bare[:20], *posted(small, 10)):
            client.seconds(request)  # warms up: connections, the model, the planner
        say("one client")
        plain = {"live": [Request("/health/live/")] * count, "bare": bare, "similar": similar}
        plain["photo"] = posted(small, count)
        kinds = in_turns(client, plain | with_options(small, count))
        kinds["photo_12mp"] = [client.seconds(request) for request in posted(large, max(3, count // 6))]
        explained = [Request(f"{request.path}&explain=true") for request in similar[: count // 3 or 1]]
        kinds["similar_explain"] = [client.seconds(request) for request in explained]
        say(f"{CLIENTS} clients")
        seconds = QUICK_SECONDS if quick else SECONDS
        rates = [requests_per_second(port, requests, seconds) for requests in (similar, bare)]
    with server() as (port, process):
        say("growth")
        memory = growth(port, process, similar, small, QUICK_GROWTH if quick else GROWTH)
    unlimited = {**settings.VISUALSEARCH, "PHOTO_RATE": UNLIMITED}
    with override_settings(VISUALSEARCH=unlimited, ALLOWED_HOSTS=["testserver"]):
        return figures(kinds, rates, memory) | parts(small * (1 if quick else 5))


def figures(kinds: dict[str, list[float]], rates: Sequence[float], memory: Sequence[float]) -> dict[str, Any]:
    median = {name: milliseconds(percentile(seconds, 50)) for name, seconds in kinds.items()}
    return {
        "products": Product.objects.count(),
        "live_p50_ms": median["live"],
        "bare_p50_ms": median["bare"],
        "bare_rps_8": round(rates[1], 1),
        "similar_vs_bare": round(percentile(kinds["similar"], 50) / percentile(kinds["bare"], 50), 2),
        "similar_rps_vs_bare": round(rates[0] / rates[1], 2),
        "similar_p50_ms": median["similar"],
        "similar_p95_ms": milliseconds(percentile(kinds["similar"], 95)),
        "similar_rps_8": round(rates[0], 1),
        "photo_p50_ms": median["photo"],
        "photo_p95_ms": milliseconds(percentile(kinds["photo"], 95)),
        "photo_12mp_p50_ms": median["photo_12mp"],
        **{f"{name}_added_p50_ms": round(median[name] - median["photo"], 2) for name in OPTIONS},
        "similar_explain_added_p50_ms": round(median["similar_explain"] - median["similar"], 2),
        "worker_mb_1000": round(memory[0], 1),
        "worker_mb_5000": round(memory[1], 1),
    }


def filled(images: int, *, quick: bool) -> None:
    """The shop's tables with real embeddings; each image's file is one of the catalogue's."""
    say(f"{images} images")
    vectors = cached_vectors(get_encoder(), images, quick=quick)
    fill(get_source("product"), get_encoder(), conf.ENCODER, vectors, IMAGES_PER_PRODUCT)
    media = Path(settings.MEDIA_ROOT) / "gallery"
    media.mkdir(parents=True)
    for number, path in zip(range(images), cycle(gallery_pictures()), strict=False):
        (media / f"{number}.jpg").symlink_to(path)


def keys(count: int) -> list[int]:
    """Products spread over the shop, in an order of chance, so that no page of the database is asked for twice."""
    every = list(Product.objects.order_by("pk").values_list("pk", flat=True))
    return [every[place] for place in np.random.default_rng(1).permutation(len(every))[:count].tolist()]


def photos(longest: int, count: int) -> list[bytes]:
    """JPEG photographs of real clothes, their longest side as asked."""
    found = []
    for path in pictures("clothing/test")[::40][:count]:
        with Image.open(path) as picture:
            scale = longest / max(picture.size)
            larger = picture.convert("RGB").resize((round(picture.width * scale), round(picture.height * scale)))
        larger.save(content := BytesIO(), "JPEG", quality=90)
        found.append(content.getvalue())
    return found


def posted(contents: Sequence[bytes], count: int, options: str = "") -> list[Request]:
    path = f"/api/visualsearch/product/search/?limit=10&{options}"
    return [Request(path, contents[number % len(contents)]) for number in range(count)]


def with_options(contents: Sequence[bytes], count: int) -> dict[str, list[Request]]:
    return {name: posted(contents, count // 3 or 1, option) for name, option in OPTIONS.items()}


def in_turns(client: Connection, kinds: dict[str, list[Request]]) -> dict[str, list[float]]:
    """Kinds of requests take turns, so that what else the machine does falls on all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for requests in kinds.values():
        client.seconds(requests[0])
    for number in range(max(map(len, kinds.values()))):
        for name, requests in kinds.items():
            if number < len(requests):
                seconds[name].append(client.seconds(requests[number]))
    return seconds


def together(port: int, work: Callable[[Connection, int], None]) -> None:
    """``work`` in as many threads as there are clients. Raises CannotMeasure where one of them failed."""
    faults: list[Exception] = []

    def one(number: int) -> None:
        try:
            work(Connection(port), number)
        except (CannotMeasure, OSError, http.client.HTTPException) as fault:
            faults.append(fault)

    threads = [threading.Thread(target=one, args=[number]) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise CannotMeasure(f"A client failed: {faults[0]}")


def requests_per_second(port: int, requests: Sequence[Request], seconds: float) -> float:
    answered = [0] * CLIENTS
    end = time.perf_counter() + seconds

    def work(client: Connection, number: int) -> None:
        while time.perf_counter() < end:
            client.seconds(requests[(number + CLIENTS * answered[number]) % len(requests)])
            answered[number] += 1

    start = time.perf_counter()
    together(port, work)
    return sum(answered) / (time.perf_counter() - start)


def growth(
    port: int,
    process: subprocess.Popen[bytes],
    similar: Sequence[Request],
    contents: Sequence[bytes],
    counts: Sequence[int],
) -> list[float]:
    """Megabytes of the largest web worker after so many requests of all clients together, photos among them."""
    found, before = [], 0
    for count in counts:

        def work(client: Connection, number: int, first: int = before, last: int = count) -> None:
            for place in range(first + number, last, CLIENTS):
                photo = place % PHOTO_EVERY == 0
                client.seconds(posted(contents, place + 1)[-1] if photo else similar[place % len(similar)])

        together(port, work)
        workers = psutil.Process(process.pid).children()
        found.append(max(worker.memory_info().rss for worker in workers) / MEGABYTE)
        before = count
    return found


@contextmanager
def server() -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """gunicorn as the demo starts it, on a free port, rate limits out of reach. Ended at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = json.loads(os.environ["BENCHMARK_VISUALSEARCH"]) | {"PHOTO_RATE": UNLIMITED, "SIMILAR_RATE": UNLIMITED}
    environment = {**ENVIRONMENT, **os.environ, "BENCHMARK_VISUALSEARCH": json.dumps(own)}
    with started(*web(port), "--log-level", "warning", env=environment, stdout=sys.stderr) as process:
        wait_for(port, process)
        yield port, process


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise CannotMeasure("The web server did not start.")


def parts(contents: Sequence[bytes]) -> dict[str, Any]:
    """What the time of a photo search goes to, in this process, one request at a time: milliseconds, median."""
    encoder, client = get_encoder(), Client()
    path = "/api/visualsearch/product/search/?limit=10"
    seconds: dict[str, list[float]] = {name: [] for name in ("decode", "encode", "sql", "whole")}
    for number, content in enumerate((contents[0], *contents)):
        start = time.perf_counter()
        image = open_image(content)
        decoded = time.perf_counter()
        encoder.encode([image])
        encoded = time.perf_counter()
        with CaptureQueriesContext(connection) as captured:
            asked = time.perf_counter()
            answer = client.post(path, content, content_type="image/jpeg")
            whole = time.perf_counter() - asked
        if answer.status_code != 200:
            raise CannotMeasure(f"{path} answered {answer.status_code}: {answer.content[:200]!r}")
        if number:
            sql = sum(float(query["time"]) for query in captured.captured_queries)
            for name, took in zip(seconds, (decoded - start, encoded - decoded, sql, whole), strict=True):
                seconds[name].append(took)
    median = {name: percentile(took, 50) for name, took in seconds.items()}
    median["rest"] = median["whole"] - median["decode"] - median["encode"] - median["sql"]
    return {f"photo_{name}_ms": milliseconds(took) for name, took in median.items()}
