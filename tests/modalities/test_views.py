"""What a person looks at: pixels stay pixels, tails do not squeeze, nothing fails on odd shapes."""

from __future__ import annotations

import io

import numpy as np
import pytest

from modalities.images import views as image_views
from modalities.images.metrics import pixel_features
from modalities.vectors import views as vector_views
from pfgm_science.figures import png
from pfgm_science.report import Section


def pixels(figure):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png(figure))).convert("RGB"))


def images(count, side=8, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def test_pixel_features():
    given = np.array([0, 255, 127, 1], dtype=np.uint8).reshape(1, 2, 2, 1)
    assert np.allclose(pixel_features(given), [[-1, 1, -1 / 255, 2 / 255 - 1]], atol=1e-15)
    assert pixel_features(images(3, channels=3)).shape == (3, 192)
    assert pixel_features(given).dtype == np.float64


def test_grid_shows_every_pixel_unchanged():
    given = images(20)
    shown = pixels(image_views.grid(given))
    side = shown.shape[1] / (10 * 9 - 1)  # ten images of 8 with a gap of 1 between
    assert side == int(side)
    small = shown[int(side) // 2 :: int(side), int(side) // 2 :: int(side), 0]
    for k in range(20):
        y, x = 9 * (k // 10), 9 * (k % 10)
        assert np.array_equal(small[y : y + 8, x : x + 8], given[k, :, :, 0])


def test_grid_of_colour_with_title():
    given = np.zeros((1, 4, 4, 3), dtype=np.uint8)
    given[..., 0] = 200
    shown = pixels(image_views.grid(given, "Red"))
    assert (shown[-2, shown.shape[1] // 2] == [200, 0, 0]).all()
    assert (shown[:20] < 128).any(), "the title"


@pytest.mark.parametrize("count", [1, 7, 100, 250])
@pytest.mark.parametrize(("side", "channels"), [(8, 1), (64, 3), (300, 1)])
def test_grid_of_any_number_and_size_fits_a_page(count, side, channels):
    width, height = image_views.grid(images(1, side, channels).repeat(count, axis=0)).get_size_inches() * 96
    assert 0 < width <= 1300
    assert height > 0


def test_neighbours_stand_under_each_other():
    given = images(12)
    figure = image_views.neighbours(given, given[::-1], np.arange(12) / 3)
    texts = [text.get_text() for text in figure.texts]
    assert texts.count("generated") == 2
    assert "3.67" in texts
    assert pixels(figure).std() > 0


def test_sections_of_images():
    given = images(12)
    assert [s.title for s in image_views.sections(given, given, None, None)] == ["Real and generated"]
    found = image_views.sections(given, given, given, np.zeros(12))
    assert all(isinstance(section, Section) for section in found)
    assert [s.title for s in found] == ["Real and generated", "Nearest training images"]


@pytest.mark.parametrize("width", [1, 2, 3, 13])
@pytest.mark.parametrize("with_real", [False, True])
def test_scatter_of_any_width(width, with_real):
    rows = np.random.default_rng(0).standard_normal((60, width))
    figure = vector_views.scatter(rows, "Rows", rows + 1 if with_real else None)
    assert png(figure, 1.0).startswith(b"\x89PNG")
    expected = 1 if width == 1 else (1 + with_real if width == 2 else min(width, 4) ** 2)
    assert len(figure.axes) == expected


def test_scatter_is_not_squeezed_by_tails():
    rows = np.random.default_rng(0).standard_cauchy((2000, 2))
    figure = vector_views.scatter(rows, "Cauchy")
    assert figure.axes[0].get_xlim()[1] < 200
    assert "lie beyond the axes" in figure.axes[0].get_xlabel()


def test_scatter_of_a_constant_column():
    rows = np.ones((10, 2))
    assert png(vector_views.scatter(rows), 1.0).startswith(b"\x89PNG")


def test_sections_of_vectors():
    rows = np.random.default_rng(0).standard_normal((50, 6))
    (section,) = vector_views.sections(rows, rows, rows, np.zeros(50))
    assert "first 4 of 6 columns" in section.text
