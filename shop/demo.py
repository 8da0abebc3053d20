"""``make demo``: everything from an empty folder to a shop that answers, under one supervisor.

Each step looks at what is there first, so a second run only starts what has to run.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from shop.database import BASE_DIR, DatabaseUnusable, check_database, ensure_database_url, stop_database

LOGIN = "admin"
# Threads of numpy's own wait by spinning, and take the cores from the encoder and PostgreSQL.
ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1"}


def main() -> int:
    arguments = parsed()
    try:
        prepare(arguments)
        return serve(arguments)
    except DemoStopped as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        stop_database()


class DemoStopped(Exception):
    """A step that the demo cannot go on without."""


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--images", type=Path, help="a folder of pictures to import instead of the drawn catalogue")
    parser.add_argument("--products", type=int, help="draw so many products only, of all kinds; by default every one")
    parser.add_argument("--weights", help="MobileNetV2 weights: a .weights.h5 or .tflite file, imagenet, or random")
    parser.add_argument("--prepare-only", action="store_true", help="do all the set-up, start nothing")
    return parser.parse_args()


def prepare(arguments: argparse.Namespace) -> None:
    if not arguments.prepare_only:
        check_port(arguments.port)
    if arguments.images and not arguments.images.is_dir():
        raise DemoStopped(f"IMAGES={arguments.images} is not a folder.")
    say("database")
    try:
        check_database(ensure_database_url())
    except DatabaseUnusable as error:
        raise DemoStopped(str(error)) from error
    os.environ["WEIGHTS"] = chosen_weights(arguments.weights or os.environ.get("WEIGHTS"))
    remembered = BASE_DIR / "var" / "weights"
    remembered.parent.mkdir(exist_ok=True)
    remembered.write_text(os.environ["WEIGHTS"])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    import django

    django.setup()
    build_encoder()
    say("tables")
    fill_tables(arguments.images, arguments.products)


def check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise DemoStopped(f"Port {port} cannot be used ({error}); choose another: make demo PORT=8001") from error


def chosen_weights(named: str | None) -> str:
    """What the demo's VISUALSEARCH["WEIGHTS"] is: as named, or empty for those in the package."""
    if not named or named in ("imagenet", "random"):
        return named or ""
    if not Path(named).is_file():
        raise DemoStopped(f"WEIGHTS={named} is not a file.")
    return str(Path(named).resolve())


def build_encoder() -> None:
    from PIL import Image

    from visualsearch.conf import conf
    from visualsearch.encoders import get_encoder
    from visualsearch.exceptions import EncoderError, EncoderNotBuilt

    try:
        encoder = get_encoder()
        say(f"model: {conf.ENCODER} {encoder.fingerprint[:12]}")
        encoder.encode([Image.effect_noise((224, 224), 64).convert("RGB")])  # a file that does not fit is told now
    except EncoderNotBuilt:
        build = [sys.executable, "manage.py", "visualsearch_encoder", "build", conf.ENCODER]
        if subprocess.run(build, cwd=BASE_DIR, check=False).returncode:
            raise DemoStopped("The encoder could not be built.") from None
    except EncoderError as error:
        raise DemoStopped(str(error)) from error


def fill_tables(images: Path | None, products: int | None) -> None:
    from django.core.management import CommandError, call_command

    from catalog.models import Product

    try:
        call_command("migrate", verbosity=0, interactive=False)
        create_login()
        if images:
            call_command("catalog_import", str(images), recursive=True)
        elif not Product.objects.exists():
            say("catalogue")
            call_command("catalog_seed", products=products)
    except CommandError as error:
        if not Product.objects.exists():
            raise DemoStopped(str(error)) from error
        say(str(error))
    try:
        embed_catalogue()
    except CommandError as error:
        say(str(error))


def embed_catalogue() -> None:
    """Indexes what is not; with other weights than the last time, as a new version beside the old."""
    from django.core.management import call_command

    from visualsearch.sources import get_source
    from visualsearch.status import status_of

    call_command(
        "visualsearch_reindex",
        **({"sync": True} if status_of(get_source("product")).encoder_fits else {"rebuild": True}),
    )


def password_file() -> Path:
    return BASE_DIR / "var" / "admin_password"


def create_login() -> None:
    from django.contrib.auth import get_user_model

    if get_user_model().objects.filter(username=LOGIN).exists():
        return
    password = secrets.token_urlsafe(9)
    get_user_model().objects.create_superuser(LOGIN, "", password)
    path = password_file()
    path.parent.mkdir(exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(password)


def serve(arguments: argparse.Namespace) -> int:
    if arguments.prepare_only:
        return 0
    from honcho import manager as honcho

    honcho.KILL_WAIT = 20  # seconds: the queue cluster finishes the task at hand before it goes
    manager = honcho.Manager()
    # A cluster's parent stops its children in their order; a signal to the whole group would leave it waiting for them.
    manager._procmgr.terminate = lambda pid: os.kill(pid, signal.SIGTERM)
    environment = {**ENVIRONMENT, **os.environ}
    for name, command in processes(arguments.port).items():
        manager.add_process(name, command, cwd=str(BASE_DIR), env=environment)
    threading.Thread(target=announce, args=(arguments.port,), daemon=True).start()
    manager.loop()
    asked_to_stop = manager.returncode in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    return 0 if asked_to_stop else abs(manager.returncode or 0)


def processes(port: int) -> dict[str, str]:
    """The two commands of a shop, as docker/ and docs/ have them too."""
    return {
        "web": f"exec {shlex.join([sys.executable, *web(port)])}",
        "worker": f"exec {sys.executable} manage.py qcluster",
    }


def web(port: int) -> list[str]:
    """Arguments of Python for the web server: two processes, since one computes on one core at a time."""
    return [
        *("-m", "gunicorn", "shop.wsgi", "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "visualsearch.contrib.serving.Worker", "--workers", "2", "--threads", "4"),
        "--no-control-socket",
    ]


def announce(port: int) -> None:
    address = f"http://localhost:{port}/"
    for _ in range(120):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            break
        except urllib.error.HTTPError:
            break
        except OSError:
            time.sleep(0.25)
    path = password_file()
    password = path.read_text() if path.exists() else "(the one you chose)"
    print(
        f"\n  The shop:   {address}\n  Its admin:  {address}admin/  login {LOGIN}, password {password}"
        f"\n  Its API:    {address}api/docs/\n\n  Ctrl-C stops all of it.\n",
        flush=True,
    )


def say(step: str) -> None:
    print(f"demo: {step}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
