"""What the table beside designs says of each: its loops, how far it is from what is known, how human, which motifs."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

from modalities.sequences import antibody_judges, edits
from modalities.sequences.frame import Frame
from modalities.sequences.liabilities import LIABILITIES, touching
from modalities.sequences.numbering import CHAINS, SCHEMES, heavy_columns
from modalities.sequences.objects import without_gaps
from pfgm_science.errors import PfgmError

_JUDGES: dict[str, Callable[[tuple[str, ...]], Any]] = {
    "humanness": antibody_judges.humanness,
    "log_likelihood": antibody_judges.log_likelihood,
}


def scores(
    texts: Sequence[str],
    drawn: Sequence[set[int]],
    template: str,
    frame: Frame,
    redesign: Sequence[str],
    training: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Column -> value of each design. texts, template, training: in the columns of the frame; drawn: columns of each.

    The letters of each redesigned region, under AIRR's name. template_distance: edits from the letters of the template.
    training_distance, and one for each region: edits from the nearest of the training sequences (see edits.nearest);
    left out where there are none. humanness, log_likelihood: OASis and AntPack (see antibody_judges), of antibodies;
    left out, and said, where these are not installed. liabilities: those that a drawn letter has a part in.
    """
    paired = heavy_columns(frame) > 0
    regions = {airr_name(name, paired): frame.region(name) for name in redesign}
    plain = [without_gaps(text) for text in texts]
    columns: dict[str, Sequence[Any]] = {
        name: [without_gaps(text[span.start : span.stop]) for text in texts] for name, span in regions.items()
    }
    columns["template_distance"] = [edits.distance(text, without_gaps(template)) for text in plain]
    if training:
        columns["training_distance"] = edits.nearest(texts, training)
        for name, span in regions.items():
            parts = ([text[span.start : span.stop] for text in some] for some in (texts, training))
            columns[f"{name.replace('_aa', '')}_training_distance"] = edits.nearest(*parts)
    if frame.scheme in SCHEMES:
        columns |= _judged(plain)
    columns["liabilities"] = [
        "; ".join(name for name in LIABILITIES if touching(name, text, columns))
        for text, columns in zip(texts, drawn, strict=True)
    ]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def airr_name(region: str, paired: bool = False) -> str:
    """What an AIRR table calls a region: cdr3_aa for CDR-H3, fwr1_aa for FR-H1; others keep their name.

    paired: whether samples have two chains, cdr3_aa_heavy and cdr3_aa_light.
    """
    kind, _, place = region.upper().rpartition("-")
    chain, number = place[:-1], place[-1:]
    if kind not in ("", "CDR", "FR") or chain not in CHAINS or not number.isdecimal():
        return region
    return f"{'fwr' if kind == 'FR' else 'cdr'}{number}_aa" + (f"_{CHAINS[chain]}" if paired else "")


def _judged(plain: Sequence[str]) -> dict[str, Sequence[Any]]:
    """What the judges that are installed say of antibodies, rounded; "" for what a judge cannot read."""
    found: dict[str, Sequence[Any]] = {}
    for name, judge in _JUDGES.items():
        try:
            values = [float(value) for value in judge(tuple(plain))]
        except PfgmError as error:
            logging.getLogger(__name__).warning("the table has no column %s: %s", name, error)
            continue
        found[name] = ["" if math.isnan(value) else f"{value:.4g}" for value in values]
    return found
