"""The page: whole, offline, escaped, readable by those who do not see the figures."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser

import pytest

from pfgm_science.errors import DataError, PfgmError
from pfgm_science.figures import beyond, new_figure, png, robust_limits
from pfgm_science.report import Figure, Html, Report, Section, Table, code, number, render, write

VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Collects tags with their attributes and checks that they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def drawing():
    figure, (ax,) = new_figure(3, 2)
    ax.plot([0, 1], [0, 1])
    return figure


@pytest.fixture(scope="module")
def text():
    table = Table(("measure", "value", "floor"), [("distance", 1.23456, "0.1 ± 0.02"), ("a < b", 12345, None)], "Note.")
    return render(
        Report(
            "Title & more",
            "A lead.",
            {"count": 1797, "D": "∞"},
            [
                Section(
                    "One", "First.\n\nSecond <b>.", [Figure(drawing(), "Caption", "Alt text"), Figure(drawing(), "B")]
                ),
                Section("Two", "", [table, Html("<audio controls></audio>"), code("pfgm <x>")]),
                Section("Three"),
            ],
            "Foot.",
        )
    )


def test_page_is_well_formed_and_refers_to_nothing_outside(text):
    page = Page(text)
    links = [a[name] for _, a in page.tags for name in ("src", "href") if name in a]
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in links)
    assert not re.search(r"https?://|@import|url\(|<script|<link", text)
    assert "prefers-color-scheme: dark" in text
    assert any(a.get("name") == "viewport" for a in page.all("meta"))


def test_links_of_the_contents_lead_to_sections(text):
    page = Page(text)
    assert [a["href"] for a in page.all("a")] == ["#" + a["id"] for a in page.all("section")]


def test_text_is_escaped_and_paragraphs_are_kept(text):
    page = Page(text)
    assert "Title &amp; more" in text
    assert "<p>First.</p>" in text
    assert "Second &lt;b&gt;." in text
    assert "pfgm &lt;x&gt;" in text
    assert len(page.all("audio")) == 1


def test_figures_are_png_with_alternative_text_and_size(text):
    images = Page(text).all("img")
    assert [image["alt"] for image in images] == ["Alt text", "B"]
    for image in images:
        data = base64.b64decode(image["src"].split(",", 1)[1])
        assert data.startswith(b"\x89PNG")
        width, height = (int.from_bytes(data[16 + 4 * k : 20 + 4 * k], "big") for k in range(2))
        assert (width, height) == (2 * int(image["width"]), 2 * int(image["height"])) == (576, 384)


def test_columns_of_numbers_stand_at_the_right(text):
    page = Page(text)
    assert [a.get("class") for a in page.all("th")] == [None, "number", "number"]
    assert [a.get("class") for a in page.all("td")] == [None, "number", "number"] * 2
    assert ">1.23<" in text
    assert ">12,345<" in text


def test_a_table_without_names_has_no_header():
    text = render(Report("t", sections=[Section("s", items=[Table(("", ""), [("a", "b")])])]))
    assert "<th" not in text
    assert "<nav" not in text


def sortable(rows, **rest):
    table = Table(("name", "value <b>"), rows, sortable=True, download='"new".tsv', code=("name",), **rest)
    return render(Report("t", sections=[Section("s", items=[table])]))


ROWS = [("b10", 1234.5678), ("b9", None), ("a\t<i>", 2), ("c", -1e-7)]


def test_a_table_can_be_sorted_and_saved_by_the_page_itself():
    text = sortable(ROWS)
    page = Page(text)
    assert len(page.all("script")) == 1 and "src" not in page.all("script")[0]
    assert not re.search(r"https?://|@import|url\(|<link", text)
    (table,) = page.all("table")
    assert table["data-download"] == '"new".tsv' and "data-sortable" in table
    cells = page.all("td")
    assert [cell["class"] for cell in cells] == ["code", "number"] * 4
    assert [cell.get("data-value") for cell in cells[1::2]] == ["1234.5678", None, None, "-1e-07"]
    assert not page.all("button"), "a page that may run no scripts has no buttons without a use"
    assert "value &lt;b&gt;" in text and "a\t&lt;i&gt;" in text


def test_long_tables_scroll():
    assert 'class="table long"' in sortable([("x", 1)] * 30)
    assert 'class="table long"' not in sortable([("x", 1)])


def test_a_column_of_code_that_is_not_there_is_refused():
    with pytest.raises(DataError, match="no column 'c' in a table of a, b"):
        Table(("a", "b"), [], code=("c",))


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_sorts_and_saves(tmp_path):
    """Clicks on the second heading twice, then on the first, then saves, and writes down what is there after each."""
    watch = """<script>
    const seen = [], names = () => [...document.querySelectorAll("tbody tr")].map(row => row.cells[0].textContent);
    const headings = [...document.querySelectorAll("th button")];
    for (const k of [1, 1, 0]) {
      headings[k].click();
      seen.push([names(), headings[k].parentElement.getAttribute("aria-sort")]);
    }
    HTMLAnchorElement.prototype.click = function () { seen.push(this.download); };
    URL.createObjectURL = blob => { blob.text().then(text => {
      const place = document.createElement("pre");
      place.id = "seen"; place.textContent = JSON.stringify([...seen, text]);
      document.body.append(place);
    }); return "#"; };
    document.querySelector(".save button").click();
    </script>"""
    path = tmp_path / "page.html"
    path.write_text(sortable(ROWS).replace("</body>", watch + "</body>"), encoding="utf-8")
    words = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    command = ["chromium", *words.split(), "--disable-component-update", "--disable-sync", "--virtual-time-budget=2000"]
    shown = subprocess.run(
        [*command, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    found = re.search(r'<pre id="seen">(.*?)</pre>', shown, re.S)
    assert found is not None, shown[-2000:]
    rising, falling, by_name, name, saved = json.loads(unescape(found.group(1)))
    assert rising == [["c", "a\t<i>", "b10", "b9"], "ascending"]
    assert falling == [["b10", "a\t<i>", "c", "b9"], "descending"], "what is missing stays last"
    assert by_name == [["a\t<i>", "b9", "b10", "c"], "ascending"]
    assert name == '"new".tsv'
    assert saved == "name\tvalue <b>\na <i>\t2\nb9\t\nb10\t1234.5678\nc\t-1e-07\n"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(DataError, match=r"row 1 .* 1 cells under 2"):
        Table(("a", "b"), [("x", 1), ("y",)])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""), ("x", "x"), (True, "yes"), (3, "3"), (1234567, "1,234,567"), (0.0, "0"), (0.5, "0.500"),
        (1.23456, "1.23"), (-1234.5, "-1,234"), (0.000123, "0.000123"), (1.5e-7, "1.50e-7"), (2.5e8, "2.50e8"),
        (float("inf"), "∞"), (float("-inf"), "-∞"), (float("nan"), "not known"), (99.99, "100.0"),
    ],
)  # fmt: skip
def test_numbers_as_text(value, expected):
    assert number(value) == expected


def test_write_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = write(tmp_path / "a.html", Report("one"))
    before = path.read_text(encoding="utf-8")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(PfgmError, match="No space"):
        write(path, Report("two"))
    assert path.read_text(encoding="utf-8") == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.html"]


def test_drawing_leaves_no_figure_behind():
    import matplotlib.pyplot

    png(drawing())
    assert matplotlib.pyplot.get_fignums() == []


def test_robust_limits():
    even = list(range(101))
    low, high = robust_limits(even)
    assert low < 0 and high > 100 and high - low < 130
    low, high = robust_limits([*even, 1e9])
    assert high < 300
    assert robust_limits([]) == (0.0, 1.0)
    low, high = robust_limits([5.0] * 10)
    assert low < 5.0 < high
    assert beyond([([0, 1, 9], (0, 2)), ([0, -5, 9], (0, 2))]) == 2


def test_style_and_script_of_fragments_stand_once():
    items = [
        Html("<i></i>", "i { color: red; }", "let a = 1 < 2;"),
        Html("<b></b>", "i { color: red; }"),
        Html("<u></u>"),
    ]
    text = render(Report("t", sections=[Section("s", items=items), Section("r", items=items[:1])]))
    assert text.count("i { color: red; }") == text.count("let a = 1 < 2;") == 1
    assert text.index("i { color: red; }") < text.index("</style>")
    assert len(Page(text).all("script")) == 1
