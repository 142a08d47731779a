"""What a benchmark found: rows of a table, each with a wish and a verdict.

Guaranteed: the ratio is that of the two medians that stand beside it. Nothing is measured here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import Final

HEAD: Final = ("what", "ours", "baseline", "ratio", "wanted", "verdict")


class Of(Enum):
    """What a wish is about."""

    RATIO = "x"
    VALUE = ""


@dataclass(frozen=True)
class Wish:
    """A bound that a figure should keep.

    Attributes:
        bound: the bound itself still fulfils the wish.
        at_least: whether more is better.
        of: our value alone, or its ratio to the baseline's.
    """

    bound: float
    at_least: bool = False
    of: Of = Of.RATIO

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g}{' x' if self.of is Of.RATIO else ''}"

    def is_fulfilled(self, figure: float) -> bool:
        """Judge a figure."""
        return figure >= self.bound if self.at_least else figure <= self.bound


@dataclass(frozen=True)
class Row:
    """One figure of ours beside the baseline's.

    Attributes:
        what: what was measured.
        unit: of the values.
        ours, baseline: one value per repetition; the medians count.
        wish: None for a figure that only informs.
    """

    what: str
    unit: str
    ours: Sequence[float]
    baseline: Sequence[float] = ()
    wish: Wish | None = None

    @property
    def ratio(self) -> float | None:
        """Ours over the baseline's; None where there is no baseline, or it is zero."""
        below = median(self.baseline) if self.baseline else 0
        return median(self.ours) / below if below else None

    @property
    def verdict(self) -> str:
        """Whether the wish is fulfilled; empty without one."""
        if self.wish is None:
            return ""
        figure = self.ratio if self.wish.of is Of.RATIO else median(self.ours)
        if figure is None:
            return "not known"
        return "met" if self.wish.is_fulfilled(figure) else "MISSED"

    def cells(self) -> tuple[str, ...]:
        """Return the row as texts, in the order of HEAD."""
        return (
            self.what,
            self._text(self.ours),
            self._text(self.baseline),
            "" if self.ratio is None else f"{self.ratio:.2f} x",
            "" if self.wish is None else str(self.wish),
            self.verdict,
        )

    def _text(self, values: Sequence[float]) -> str:
        if not values:
            return ""
        value = median(values)
        digits = 0 if not self.unit or abs(value) >= 1000 else 1 if abs(value) >= 10 else 2
        return f"{value:,.{digits}f} {self.unit}".rstrip()


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table that is aligned for the eye."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    texts.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(texts)
