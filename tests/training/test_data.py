from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visualsearch.contrib.training.data import (
    Augmentation,
    Crops,
    Pictures,
    load_pictures,
    prefetched,
    random_box,
    read_picture,
)
from visualsearch.contrib.training.exceptions import NoPictures


def test_a_batch_is_a_function_of_seed_and_step(pictures: Pictures) -> None:
    crops = Crops(pictures, seed=1, batch_size=4)
    batch = crops.batch(5, 32)
    assert batch.shape == (4, 32, 32, 3)
    assert batch.dtype == np.float32
    assert -1 <= batch.min() < batch.max() <= 1
    assert np.array_equal(batch, Crops(pictures, seed=1, batch_size=4).batch(5, 32))
    assert not np.array_equal(batch, crops.batch(6, 32))
    assert not np.array_equal(batch, Crops(pictures, seed=2, batch_size=4).batch(5, 32))


def test_every_epoch_draws_each_picture_once_in_its_own_order(pictures: Pictures) -> None:
    crops = Crops(pictures, batch_size=5)
    drawn = list(itertools.chain.from_iterable(crops.drawn(step) for step in range(12)))
    epochs = [drawn[i : i + 12] for i in range(0, 60, 12)]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_a_folder_named_twice_counts_twice_and_is_decoded_once(folder: Path) -> None:
    pictures = load_pictures([folder, folder])
    assert len(pictures.arrays) == 12
    assert sorted(pictures.draws.tolist()) == sorted([*range(12), *range(12)])


def test_unreadable_files_are_listed_and_left_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    (tmp_path / "cut.jpg").write_bytes(next(folder.glob("*.jpg")).read_bytes()[:900])
    (tmp_path / "empty.png").touch()
    (tmp_path / "notes.txt").write_text("not looked at")
    pictures = load_pictures([folder, tmp_path])
    assert len(pictures.arrays) == len(pictures.draws) == 12
    assert [path.name for path, _ in pictures.unreadable] == ["broken.jpg", "cut.jpg", "empty.png"]
    assert all(reason for _, reason in pictures.unreadable)


@pytest.mark.parametrize(("content", "says"), [(None, "is not a folder"), ("", "holds no pictures"), ("x", "None of")])
def test_folders_without_pictures_say_so(tmp_path: Path, content: str | None, says: str) -> None:
    folder = tmp_path / "shop"
    if content is not None:
        folder.mkdir()
    if content:
        (folder / "broken.jpg").write_text(content)
    with pytest.raises(NoPictures, match=says):
        load_pictures([folder])


def test_pictures_are_upright_rgb_and_small(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    Image.new("L", (800, 600), 90).save(tmp_path / "side.jpg", exif=exif)
    assert read_picture(tmp_path / "side.jpg", 256).shape == (341, 256, 3)
    assert read_picture(tmp_path / "side.jpg").shape == (800, 600, 3)


def test_boxes_stay_inside_and_keep_their_area() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        left, top, right, bottom = random_box(rng, 90, 60, Augmentation(area=(0.3, 0.6)))
        assert 0 <= left < right <= 90
        assert 0 <= top < bottom <= 60
        assert 0.25 <= (right - left) * (bottom - top) / 5400 <= 0.61


def test_crops_made_ahead_come_in_order_and_pass_errors_on() -> None:
    def make(step: int) -> np.ndarray:
        if step == 9:
            raise MemoryError("no room")
        return np.full(1, step, np.float32)

    batches = prefetched(make, 6)
    assert [float(next(batches)[0]) for _ in range(3)] == [6, 7, 8]
    with pytest.raises(MemoryError):
        next(batches)
