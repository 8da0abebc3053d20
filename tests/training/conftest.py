from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visualsearch.contrib.training.data import Crops, Pictures, load_pictures

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SIZE = 32
KINDS = ("dress", "hat", "pants", "shoes")


@pytest.fixture(autouse=True)
def media() -> None:
    """Nothing here touches Django's media folder, or needs Django at all."""


@pytest.fixture(scope="session")
def shared() -> Path:
    if not (SHARED / "data" / "catalogue").is_dir():
        pytest.skip(f"needs the pictures and weights in {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def folder(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen real pictures."""
    made = tmp_path_factory.mktemp("pictures")
    for path in sorted((shared / "data" / "catalogue").glob("*.jpg"))[:12]:
        (made / path.name).write_bytes(path.read_bytes())
    return made


@pytest.fixture(scope="session")
def pictures(folder: Path) -> Pictures:
    return load_pictures([folder])


@pytest.fixture(scope="session")
def crops(pictures: Pictures) -> Crops:
    return Crops(pictures, seed=3, batch_size=4)


@pytest.fixture(scope="session")
def tf():
    """TensorFlow without tracing: tracing 18 blocks costs more than the few steps that a test takes."""
    tensorflow = pytest.importorskip("tensorflow")
    tensorflow.config.run_functions_eagerly(True)
    yield tensorflow
    tensorflow.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def weights(shared: Path) -> Path:
    return shared / "weights" / "mobilenet_v2_0.35_224_imagenet_notop.weights.h5"


@pytest.fixture(scope="session")
def teacher(tf, weights: Path):
    from visualsearch.contrib.training import teachers

    return teachers.find(str(weights))


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    """A folder with one picture."""
    made = tmp_path / "painted"
    made.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(made / "noise.png")
    return made


@pytest.fixture(scope="session")
def photos(shared: Path) -> dict[str, list[Path]]:
    """Fourteen real photographs of each of four kinds of clothes."""
    folder = shared / "data" / "clothing" / "train"
    return {kind: sorted((folder / kind).glob("*.jpg"))[:14] for kind in KINDS}


def laid_out(folder: Path, photos: dict[str, list[Path]]) -> Path:
    for kind, paths in photos.items():
        (folder / kind).mkdir(parents=True)
        for path in paths:
            (folder / kind / path.name).symlink_to(path)
    return folder
