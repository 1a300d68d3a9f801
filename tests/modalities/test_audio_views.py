"""What a person listens to and looks at: sounds are what they were, pages are whole, nothing fails on odd clips."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import shutil
import subprocess
import wave
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from modalities.audio import Clip, levels, players, spectrograms, views
from modalities.audio.players import LEVEL, MOST_GAIN, PEAK, file, level, levelled, listening_table, player, wall
from modalities.audio.spectrograms import FLOOR, MOST, decibels
from pfgm_science.errors import DataError
from pfgm_science.figures import png
from pfgm_science.report import Figure, Html, Report, Section, render

VOID = {"img", "meta", "br", "input", "link", "hr"}


class Page(HTMLParser):
    """Tags with their attributes; it fails on tags that are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def tone(frequency=1000.0, seconds=0.25, amplitude=0.5, rate=8000, channels=1, silence=0.0):
    time = torch.arange(round(seconds * rate)) / rate
    sound = amplitude * torch.sin(2 * math.pi * frequency * time)
    return Clip(torch.cat([sound, torch.zeros(round(silence * rate))]).expand(channels, -1).contiguous(), rate)


def noise(samples=2048, channels=1, rate=8000, seed=0, amplitude=0.1):
    g = torch.Generator().manual_seed(seed)
    return Clip(amplitude * torch.randn(channels, samples, generator=g), rate)


ODD = {
    "silent": Clip(torch.zeros(1, 500), 8000),
    "one sample": Clip(torch.ones(1, 1), 8000),
    "two samples": Clip(torch.tensor([[0.1, -0.2]]), 44100),
    "stereo": noise(3000, channels=2, rate=44100),
    "one silent channel": Clip(torch.stack([torch.zeros(900), torch.full((900,), 0.3)]), 16000),
    "low rate": noise(50, rate=100),
    "constant": Clip(torch.full((1, 700), 0.25), 8000),
    "beyond full scale": noise(1000, amplitude=30),
    "double": Clip(torch.full((1, 700), 1e-9, dtype=torch.float64), 8000),
}


def sound(uri):
    """Samples [channels, samples] and rate of a data: address of a wav file, by the standard library."""
    kind, data = uri.split(",", 1)
    assert kind == "data:audio/wav;base64"
    with wave.open(io.BytesIO(base64.b64decode(data, validate=True))) as given:
        assert given.getsampwidth() == 2
        samples = np.frombuffer(given.readframes(given.getnframes()), "<i2").reshape(-1, given.getnchannels())
        return samples.T / 32768, given.getframerate()


def test_level_is_the_rms_where_it_sounds():
    assert level(tone(amplitude=1.0)) == pytest.approx(10 * math.log10(0.5), abs=1e-3)
    assert level(tone(silence=1.0)) == pytest.approx(level(tone()), abs=1e-6)
    assert level(tone(amplitude=0.05)) == pytest.approx(level(tone()) - 20, abs=1e-4)
    assert level(ODD["silent"]) == levels.FLOOR


def test_levelled_is_one_gain_up_to_the_limits():
    for clip in (tone(amplitude=0.9), tone(amplitude=0.01, silence=0.5), noise(amplitude=1.7)):
        found = levelled(clip)
        assert level(found) == pytest.approx(LEVEL, abs=1e-4)
        gain = found.waveform.norm() / clip.waveform.norm()
        assert torch.allclose(found.waveform, gain * clip.waveform, atol=1e-6)
    click = Clip(torch.zeros(1, 2000).index_fill(1, torch.tensor([900]), -0.01), 8000)
    assert float(levelled(click).waveform.min()) == pytest.approx(-(10 ** (PEAK / 20)), rel=1e-5)
    assert level(levelled(click)) < LEVEL
    quiet = noise(amplitude=1e-6)
    assert level(levelled(quiet)) == pytest.approx(level(quiet) + MOST_GAIN, abs=1e-4)
    assert not levelled(ODD["silent"]).waveform.any()


@pytest.mark.parametrize("name", [*ODD, "tone"])
def test_embedded_sound_is_the_clip_at_the_level(name):
    clip = ODD.get(name) or tone()
    (audio,) = Page(player(clip, name)).all("audio")
    found, rate = sound(audio["data-sound"])
    expected = levelled(clip).waveform.numpy()
    assert rate == clip.rate
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 0.5001 / 32768
    assert float(audio["data-seconds"]) == pytest.approx(clip.seconds, rel=1e-5)


def test_full_scale_does_not_wrap_around():
    _, data = file(Clip(torch.tensor([[1.0, -1.0, 2.0]]), 8000))
    found, _ = sound("data:audio/wav;base64," + base64.b64encode(data).decode())
    assert np.array_equal(found, [[32767 / 32768, -1.0, 32767 / 32768]])


def test_a_large_clip_is_smaller_and_the_same_to_the_ear(monkeypatch):
    soundfile = pytest.importorskip("soundfile")
    if "MP3" not in soundfile.available_formats():
        pytest.skip("this libsndfile has no mp3")
    monkeypatch.setattr(players, "LARGEST", 10_000)
    clip = tone(440.0, 1.0, 0.3, rate=16000)
    kind, data = file(clip)
    found, rate = soundfile.read(io.BytesIO(data), always_2d=True)
    assert (kind, rate) == ("audio/mpeg", 16000)
    assert len(data) < 10_000
    assert np.abs(np.fft.rfft(found[:16000, 0])).argmax() == 440
    assert level(Clip(torch.from_numpy(found.T.copy()).float(), rate)) == pytest.approx(level(clip), abs=0.5)
    assert file(tone(440.0, 1.0, rate=7000))[0] == "audio/wav", "mp3 has no such rate"


def test_player_can_be_used_without_seeing_it_and_by_keyboard():
    page = Page(player(tone(), "Ma 3", "distance 0.2"))
    (button,), (image,), (audio,) = page.all("button"), page.all("img"), page.all("audio")
    assert (button["type"], button["aria-label"], button["aria-pressed"]) == ("button", "Play Ma 3", "false")
    assert image["alt"] == "Spectrogram of Ma 3"
    assert (audio["aria-label"], audio["preload"]) == ("Ma 3", "none")
    assert "src" not in audio, "a browser would make ready every sound of a page"
    assert "controls" not in audio
    assert "controls" in Page(player(tone(seconds=6.0))).all("audio")[0]
    assert "0.25 s, −9 dB" in player(tone())
    assert "silent" in player(ODD["silent"])


def test_names_are_escaped():
    name = "<b>\"a\" & 'b'"
    (plain,) = Page(player(tone())).all("audio")
    for text in (
        player(tone(), name, name, name),
        wall([tone()], [name], [name], name).html,
        listening_table([(name, [(tone(), name)])], [name], name, name).html,
    ):
        page = Page(text)
        assert '<b>"' not in text
        assert page.all("button")[0]["aria-label"].count(name) >= 1
        assert set(page.all("audio")[0]) == set(plain), "no attribute is torn"


def test_page_refers_to_nothing_outside_and_has_style_and_script_once():
    table = listening_table([("1", [tone(), None]), ("2", [(noise(), "near"), tone()])], ["real", "generated"], "class")
    text = render(Report("t", sections=[Section("a", items=[wall([tone()] * 2), table]), Section("b", items=[table])]))
    page = Page(text)
    assert len(page.all("audio")) == 2 + 3 + 3
    for _, attrs in page.tags:
        for name in ("src", "href", "data-sound"):
            assert attrs.get(name, "#").startswith(("data:audio/wav;base64,", "data:image/png;base64,", "#"))
    assert not re.search(r"https?://|@import|url\(|<link|\bfetch\b", text)
    assert len(page.all("script")) == 1
    assert text.count(".player button {") == 2, "one rule for wide pages and one for narrow ones"
    assert "prefers-color-scheme: dark" in text


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_plays_one_at_a_time_and_keeps_no_other(tmp_path):
    watch = """<script>(async () => {
    const seen = [], buttons = [...document.querySelectorAll(".player button")];
    const audios = [...document.querySelectorAll(".player audio")];
    for (const k of [0, 1, 1]) {
      buttons[k].click();
      await new Promise(done => setTimeout(done, 200));
      seen.push([audios.map(a => !a.paused), audios.map(a => a.hasAttribute("src")),
                 buttons.map(b => b.getAttribute("aria-pressed") === "true")]);
    }
    if (Number.isNaN(audios[1].duration))  // a busy machine may not have read the sound yet
      await new Promise(done => audios[1].addEventListener("loadedmetadata", done));
    document.body.dataset.seen = JSON.stringify([...seen, audios[1].duration]);
    })()</script>"""
    path = tmp_path / "page.html"
    text = render(Report("t", sections=[Section("s", items=[wall([tone(seconds=4.0), tone(seconds=3.0)])])]))
    path.write_text(text.replace("</body>", watch + "</body>"), encoding="utf-8")
    words = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    more = "--disable-component-update --disable-sync --virtual-time-budget=20000 --dump-dom"
    shown = subprocess.run(
        ["chromium", *words.split(), *more.split(), "--autoplay-policy=no-user-gesture-required",
         f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()],
        capture_output=True, text=True, timeout=120,
    ).stdout  # fmt: skip
    found = re.search(r'data-seen="(.*?)"', shown)
    assert found is not None, shown[-500:]
    first, second, stopped, seconds = json.loads(unescape(found.group(1)))
    assert first == [[True, False]] * 3
    assert second == [[False, True]] * 3
    assert stopped == [[False, False], [False, True], [False, False]]
    assert seconds == 3


def test_table_names_rows_and_columns():
    page = Page(listening_table([("a", [tone(), tone()]), ("b", [None, tone()])], ["real", "generated"]).html)
    assert [attrs["scope"] for attrs in page.all("th")] == ["col"] * 3 + ["row"] * 2
    assert [button["aria-label"] for button in page.all("button")] == [
        "Play a, real",
        "Play a, generated",
        "Play b, generated",
    ]
    assert len(page.all("td")) == 4


def test_pictures_of_a_table_share_the_scale_of_time():
    html = listening_table([("a", [tone(seconds=0.5), tone(seconds=0.125)])], ["x", "y"]).html
    assert [button["style"] for button in Page(html).all("button")] == ["--width:100%", "--width:25%"]


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="row 'a' has 1 cells under 2 columns"):
        listening_table([("a", [tone()])], ["x", "y"])
    with pytest.raises(DataError, match="1 titles for 2 clips"):
        wall([tone(), tone()], ["one"])
    with pytest.raises(DataError, match="not finite"):
        player(Clip(torch.full((1, 9), math.nan), 8000))
    with pytest.raises(DataError, match="at least one"):
        views.grid([])


def test_spectrogram_is_in_decibels_of_full_scale_at_the_right_frequency():
    power = decibels(tone(1000.0, 0.5, 1.0))
    middle = power[:, power.shape[1] // 2]
    assert middle.max() == pytest.approx(0, abs=0.05)
    assert middle.argmax() / (len(middle) - 1) * 4000 == pytest.approx(1000, abs=10)
    assert decibels(ODD["silent"]).max() == FLOOR


def test_long_clips_lose_no_click():
    wave = torch.zeros(1, 60 * 8000)
    wave[0, 123_456] = 1.0
    power = decibels(Clip(wave, 8000))
    assert power.shape[1] < 2 * spectrograms.FRAMES
    assert power.max(0).argmax() / power.shape[1] == pytest.approx(123_456 / wave.shape[1], abs=0.01)
    assert power.max() > -100


def test_pictures_of_odd_clips():
    with np.errstate(all="raise"):
        assert png(views.grid(list(ODD.values()), "Odd", list(ODD)), 0.5).startswith(b"\x89PNG")
        assert png(views.spectrogram(ODD["silent"]), 0.5).startswith(b"\x89PNG")
        assert png(views.spectrogram(ODD["one sample"]), 0.5).startswith(b"\x89PNG")
        for clip in ODD.values():
            assert spectrograms.thumbnail(clip).startswith(b"\x89PNG")


def test_thumbnail_has_low_frequencies_below_and_time_to_the_right():
    from PIL import Image

    low, high = tone(500.0, 0.25).waveform, tone(3500.0, 0.25).waveform
    data = spectrograms.thumbnail(Clip(torch.cat([low, high], 1), 8000))
    shades = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).sum(2).astype(float)
    height, width = shades.shape
    assert shades[:, width // 4].argmax() / height == pytest.approx(1 - 500 / 4000, abs=0.03)
    assert shades[:, 3 * width // 4].argmax() / height == pytest.approx(1 - 3500 / 4000, abs=0.03)
    assert len(spectrograms.thumbnail(noise(80_000))) < 20_000
    silent = np.asarray(Image.open(io.BytesIO(spectrograms.thumbnail(ODD["silent"]))).convert("RGB"))
    assert silent.max() < 10


@pytest.mark.parametrize("count", [1, MOST + 3])
def test_grid_of_any_number_fits_a_page(count):
    figure = views.grid([noise(seed=k) for k in range(count)], "Samples")
    width, _ = figure.get_size_inches() * 96
    assert width <= 976
    assert len(figure.axes) == 2 * min(count, MOST) + 1
    images = [ax.images[0] for ax in figure.axes if ax.images]
    assert {image.get_clim() for image in images} == {(-80.0, 0.0)}
    assert max(image.get_array().max() for image in images) == pytest.approx(0)


def test_spectra_tell_what_is_where():
    centres, power = views.spectra([tone(1000.0, amplitude=0.5), noise(), ODD["silent"]], 4000.0)
    assert power.shape == (3, views.BANDS)
    assert centres[power[0].argmax()] == pytest.approx(1000, abs=60)
    assert np.ptp(power[1]) < 15
    assert (power[2] == views.QUIET).all()
    _, louder = views.spectra([tone(1000.0, amplitude=0.05)], 4000.0)
    assert power[0].max() - louder[0].max() == pytest.approx(20, abs=0.01)


def test_duration_ends_where_silence_begins():
    assert views.sounding(tone(seconds=0.2, silence=0.3)) == pytest.approx(0.2, abs=0.011)
    assert views.sounding(tone(seconds=0.2)) == pytest.approx(0.2)
    assert views.sounding(ODD["silent"]) == 0
    loud, faint = tone(seconds=0.2, amplitude=1.0).waveform, tone(seconds=0.2, amplitude=1e-3).waveform
    assert views.sounding(Clip(torch.cat([loud, faint], 1), 8000)) == pytest.approx(0.2, abs=0.011)


def test_sections():
    real, generated = [noise(seed=k) for k in range(12)], [tone(300.0 + 20 * k) for k in range(14)]
    plain = views.sections(real, generated, None, None)
    assert [section.title for section in plain] == ["Real and generated", "Spectrum, level and duration"]
    assert players.LOUDNESS in plain[0].text
    found = views.sections(real, generated, real[:1] * 14, np.arange(14) / 7)
    assert [section.title for section in found] == [plain[0].title, "Nearest training clips", plain[1].title]
    page = Page(render(Report("t", sections=found)))
    assert len(page.all("audio")) == 2 * views.MOST + 2 * views.PAIRS
    assert "distance 0.143" in found[1].items[0].html


def test_sections_of_nothing_are_refused():
    for real, generated in (([], [tone()]), ([tone()], [])):
        with pytest.raises(DataError, match="one of each at least"):
            views.sections(real, generated, None, None)


@pytest.mark.parametrize("name", ["silent", "one sample", "stereo", "low rate"])
def test_sections_of_odd_clips(name):
    found = views.sections([ODD[name]] * 2, [noise(rate=ODD[name].rate)], None, None)
    assert all(isinstance(item, (Html, Figure)) for section in found for item in section.items)


def test_on_its_way():
    section = views.on_its_way([(2.0, noise(), tone()), (0.1, noise(seed=1), tone()), (0.0, tone(), tone())])
    page = Page(render(Report("t", sections=[section])))
    assert len(page.all("audio")) == 5, "at the end state and estimate are the same"
    assert "σ = 0.1" in section.items[0].html


def test_shown_is_a_player_a_clip():
    (item,) = views.shown([noise(), tone()])
    assert [button["aria-label"] for button in Page(item.html).all("button")] == ["Play 1", "Play 2"]
    assert players.LOUDNESS in item.html
