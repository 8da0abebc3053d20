"""manage.py visualsearch_finetune [SOURCE | --images FOLDER] --output FILE, then [SOURCE] --use FILE"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from tqdm import tqdm

from visualsearch.contrib.training import applying
from visualsearch.contrib.training.examples import By
from visualsearch.contrib.training.exceptions import TrainingError
from visualsearch.contrib.training.finetuning import Finetuned, Plan, finetune
from visualsearch.contrib.training.gathering import Gathered, base_encoder, from_folder, from_index
from visualsearch.contrib.training.general import General, general
from visualsearch.contrib.training.whole import finetune_network
from visualsearch.contrib.training.writing import check_output
from visualsearch.encoders import Encoder
from visualsearch.evaluation.choice import contestants
from visualsearch.exceptions import VisualSearchError
from visualsearch.sources import ImageSource, only_source

DEPTHS = ("head", "learned", "network")


class Command(BaseCommand):
    help = (
        "Makes an encoder better for this shop's goods, and writes it to a file of its own. Nothing that searches use "
        "changes until a version with it is activated."
    )
    # The settings may name the file that is to be written.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("source", nargs="?", help="learn from this source's active index; not needed where there is only one")
        add("--images", type=Path, metavar="FOLDER", help="learn from class sub-folders instead; needs no database")
        add("--by", help=f"what is alike: {', '.join(By)}, or a field of products (default: what there is)")
        add("--output", type=Path, metavar="FILE.tflite", help="the encoder file to write")
        add("--depth", choices=DEPTHS, default="head", help="a head in closed form, a learned one, the whole network")
        add("--views", type=int, metavar="N", help="learn from N augmented views of each picture, too")
        add("--keep-general", type=Path, nargs="+", default=[], metavar="FOLDER", help="goods that may not get worse")
        add("--encoder", help="with --images: the encoder to start from (default: the settings')")
        add("--weights", help="with --images: its weights, a file or bundled")
        add("--rounds", type=int, help="with --depth network: at most so many rounds over all pictures")
        add("--minutes", type=float, help="with --depth network: begin no further round after this time")
        add("--seed", type=int, default=0)
        add("--use", type=Path, metavar="FILE.tflite", help="learn nothing; make an index version of this file")
        add("--activate", action="store_true", help="make searches use the new version once it is verified")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["use"]:
                self._use(only_source(options["source"]), options["use"], options["activate"])
            else:
                self._learn(options)
        except (VisualSearchError, DatabaseError) as error:
            raise CommandError(str(error).strip().partition("\n")[0]) from error

    def _learn(self, options: dict[str, Any]) -> None:
        self._check(options)
        source = None if options["images"] else only_source(options["source"])
        gathered = self._gathered(source, options)
        kept = [self._general(folder, gathered, options["seed"]) for folder in options["keep_general"]]
        learned, network = (options["depth"] == depth for depth in ("learned", "network"))
        limits = (options["rounds"], options["minutes"])
        plan = Plan(options["output"], learned, options["views"], options["seed"], *limits)
        self._report((finetune_network if network else finetune)(gathered, plan, kept, self._say))
        if source is None:
            return
        written = options["output"]
        if options["activate"] or applying.configured_name(applying.described(written)[1]):
            self._use(source, written, options["activate"])
        else:
            self._say(f"To use it, set\n  {applying.setting_for(written, gathered.encoder.description.name)}")
            self._say(f"in every process, then run: manage.py visualsearch_finetune {source} --use {written}")

    def _check(self, options: dict[str, Any]) -> None:
        """Raises TrainingError for options that cannot work, before anything slow is done."""
        if not options["output"]:
            raise TrainingError("--output FILE.tflite names the encoder file to write; --use takes one that is there.")
        check_output(options["output"])
        if options["images"] and (options["source"] or options["activate"]):
            raise TrainingError("--images learns from a folder, without a source: --activate goes with a source.")
        if not options["images"] and (options["encoder"] or options["weights"]):
            raise TrainingError("--encoder and --weights go with --images; a source has those of its active version.")
        if options["depth"] != "network" and (options["rounds"] or options["minutes"]):
            raise TrainingError("--rounds and --minutes go with --depth network.")
        if any(limit is not None and limit <= 0 for limit in (options["rounds"], options["minutes"])):
            raise TrainingError("--rounds and --minutes must be above 0.")
        if options["views"] is not None and not 0 <= options["views"] <= 20:
            raise TrainingError("--views must be from 0 to 20.")

    def _gathered(self, source: ImageSource | None, options: dict[str, Any]) -> Gathered:
        if source is not None:
            return from_index(source, options["by"], options["seed"])
        names, weights = ([value] if (value := options[key]) else [] for key in ("encoder", "weights"))
        encoder: Encoder | None = contestants(names, weights)[0].encoder
        assert encoder is not None
        with self._bar("reading") as bar:
            return from_folder(options["images"], options["by"], encoder, options["seed"], bar.update)

    def _general(self, folder: Path, gathered: Gathered, seed: int) -> General:
        with self._bar(str(folder)) as bar:
            return general(folder, base_encoder(gathered.encoder), seed, bar.update)

    def _report(self, written: Finetuned) -> None:
        size = written.path.stat().st_size / 1e6
        self._say(f"Written: {written.path} ({size:.1f} MB), {written.encoder.dimensions} dimensions")
        self._say(f"  fingerprint {written.encoder.fingerprint}")

    def _use(self, source: ImageSource, path: Path, activate: bool) -> None:
        index = applying.make_version(source, path, self._say, activate=activate)
        if not activate:
            self._say(
                f"Nothing that searches use has changed. To use it: manage.py visualsearch_index activate "
                f"{index.pk} --source {source}"
            )

    def _bar(self, label: str) -> Any:
        return tqdm(desc=label, unit="image", file=self.stderr, disable=None)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
