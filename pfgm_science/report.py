"""One offline HTML page: facts, text, tables and figures, with everything it shows inside."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pfgm_science.errors import DataError
from pfgm_science.files import replacing

if TYPE_CHECKING:
    import matplotlib.figure

Cell = str | int | float | None

TEMPLATE = "report.html.j2"
LONG = 25  # rows from which on a table that can be sorted scrolls within the page


@dataclass(frozen=True)
class Figure:
    """A figure with its caption, and what it shows in words for those who do not see it.

    Figures that follow each other stand side by side where the page is wide enough. The matplotlib figure is drawn
    when the page is rendered, its inches at 96 CSS pixels.
    """

    figure: matplotlib.figure.Figure
    caption: str = ""
    alt: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under a header. Columns of numbers stand at the right; numbers have three significant digits.

    A header of empty names is not shown. sortable: headings become buttons that sort the rows. download: the name of
    the file of tab-separated values, all digits of numbers included, that a button below the table saves; none if "".
    Both are done by the page itself, where it may run scripts. code: headings of columns in letters of one width.
    Raises DataError when a row is not as long as the header, or code is no heading.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    sortable: bool = False
    download: str = ""
    code: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in self.code:
            if name not in self.header:
                raise DataError(f"there is no column {name!r} in a table of {', '.join(self.header)}")
        for number, row in enumerate(self.rows):
            if len(row) != len(self.header):
                raise DataError(f"row {number} of a table has {len(row)} cells under {len(self.header)} headings")


@dataclass(frozen=True)
class Html:
    """A fragment of HTML that is put in as it is: the caller answers for it, and must not refer to anything outside.

    style, script: CSS and JavaScript that it needs. The page has either once, however many fragments bring the same.
    """

    html: str
    style: str = ""
    script: str = ""


Item = Figure | Table | Html


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs (separated by blank lines) and what they speak of. Adapters may contribute their own."""

    title: str
    text: str = ""
    items: Sequence[Item] = ()


@dataclass(frozen=True)
class Report:
    """A page: title, one sentence below it, the facts in brief (name -> value), sections, and a line at the foot."""

    title: str
    lead: str = ""
    facts: Mapping[str, Cell] = field(default_factory=dict)
    sections: Sequence[Section] = ()
    foot: str = ""


def write(path: str | Path, report: Report) -> Path:
    """Put the page at path, whole or not at all; returns path. Raises PfgmError as files.replacing does."""
    page = render(report)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Path(path)


def render(report: Report) -> str:
    """The page as HTML that refers to nothing outside itself. Text is escaped, Html items are not."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    sections = [_section(section, i) for i, section in enumerate(report.sections)]
    fragments = [item for section in report.sections for item in section.items if isinstance(item, Html)]
    environment = Environment(
        loader=PackageLoader("pfgm_science"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        title=report.title,
        lead=report.lead,
        facts=[(name, number(value)) for name, value in report.facts.items()],
        sections=sections,
        styles=_once(item.style for item in fragments),
        scripts=_once(item.script for item in fragments),
        scripted=any(group.get("scripted") for section in sections for group in section["groups"]),
        foot=report.foot,
    )


def number(value: Cell) -> str:
    """A cell as text: whole numbers as they are, others with three significant digits, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if math.isnan(value):
        return "not known"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if -4 <= exponent < 6:
        digits = max(0, 2 - exponent)
        return f"{value:,.{digits}f}"
    mantissa, power = f"{value:.2e}".split("e")
    return f"{mantissa}e{int(power)}"


def _once(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]


def _section(section: Section, index: int) -> dict[str, Any]:
    return {
        "id": f"section-{index + 1}",
        "title": section.title,
        "paragraphs": [part.strip() for part in section.text.split("\n\n") if part.strip()],
        "groups": _groups(section.items),
    }


def _groups(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Consecutive figures together, anything else alone."""
    groups: list[dict[str, Any]] = []
    for item in items:
        if isinstance(item, Figure):
            if not groups or groups[-1]["kind"] != "figures":
                groups.append({"kind": "figures", "figures": []})
            groups[-1]["figures"].append(_figure(item))
        elif isinstance(item, Table):
            groups.append({"kind": "table", **_table(item)})
        else:
            groups.append({"kind": "html", "html": item.html})
    return groups


def _figure(item: Figure) -> dict[str, Any]:
    from pfgm_science.figures import CSS_INCH, png

    width, height = (round(side * CSS_INCH) for side in item.figure.get_size_inches())
    source = "data:image/png;base64," + base64.b64encode(png(item.figure)).decode("ascii")
    return {
        "source": source,
        "width": width,
        "height": height,
        "caption": item.caption,
        "alt": item.alt or item.caption,
    }


def _table(item: Table) -> dict[str, Any]:
    numeric = [
        any(_is_number(row[k]) for row in item.rows)
        and all(_is_number(row[k]) or row[k] in (None, "") for row in item.rows)
        for k in range(len(item.header))
    ]
    kinds = [
        " ".join(name for name, given in (("number", right), ("code", title in item.code)) if given)
        for title, right in zip(item.header, numeric, strict=True)
    ]
    rows = [[(number(cell), kinds[k], _exact(cell)) for k, cell in enumerate(row)] for row in item.rows]
    return {
        "header": list(zip(item.header, numeric, strict=True)),
        "headed": any(item.header),
        "rows": rows,
        "caption": item.caption,
        "sortable": item.sortable,
        "download": item.download,
        "scripted": item.sortable or bool(item.download),
        "long": item.sortable and len(item.rows) > LONG,
    }


def _exact(cell: Cell) -> str:
    """All digits of a number that is shown with fewer or otherwise, else nothing."""
    if isinstance(cell, (str, bool)) or cell is None or not math.isfinite(cell):
        return ""
    exact = repr(float(cell)) if isinstance(cell, float) else str(int(cell))
    return "" if exact == number(cell) else exact


def _is_number(cell: Cell) -> bool:
    """Numbers, and text that begins like one: "0.31 ± 0.02" belongs at the right as well."""
    if isinstance(cell, str):
        return cell[:1].isdigit() or (cell[:1] in "-+<≈∞" and len(cell) > 1)
    return cell is not None


def code(text: str) -> Html:
    """Lines of a program or of a command, as they are."""
    return Html(f"<pre><code>{escape(text)}</code></pre>")
