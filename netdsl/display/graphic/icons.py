"""A small white sign for each family of layers, as strokes on a square from 0 to 10."""

from __future__ import annotations

__all__ = ["icon"]

Strokes = tuple[tuple[tuple[float, float], ...], ...]


def _square(x: float, y: float, side: float, high: float | None = None) -> tuple[tuple[float, float], ...]:
    high = side if high is None else high
    return ((x, y), (x + side, y), (x + side, y + high), (x, y + high), (x, y))


ICONS: dict[str, Strokes] = {
    "linear": (((2, 2), (8, 2)), ((2, 2), (8, 8)), ((2, 8), (8, 2)), ((2, 8), (8, 8)), ((2, 5), (8, 5))),
    "convolution": (_square(1.5, 1.5, 7), _square(3, 3, 3)),
    "resampling": (_square(1.5, 5, 3.5), ((4, 1.5), (8.5, 1.5), (8.5, 6)), ((5.5, 4.5), (8.5, 1.5))),
    "image": (_square(1.5, 2, 7, 6), ((2, 7), (4.3, 4.4), (6, 6.3), (7, 5.2), (8.2, 6.8))),
    "elementwise": (((1.5, 7.5), (5, 7.5), (8.5, 2.5)),),
    "function": (((6.8, 1.8), (5.6, 2), (5, 3.2), (4.4, 7), (3.8, 8.2), (2.8, 8.4)), ((3.2, 4.6), (6.6, 4.6))),
    "random": (_square(1.8, 1.8, 6.4), ((3.6, 3.6), (3.7, 3.7)), ((5, 5), (5.1, 5.1)), ((6.4, 6.4), (6.5, 6.5))),
    "normalization": (((1.2, 8), (2.8, 7.4), (3.9, 4.4), (5, 2.2), (6.1, 4.4), (7.2, 7.4), (8.8, 8)),),
    "attention": (((2, 2), (5, 5), (8, 2)), ((5, 5), (5, 8.4)), ((3.6, 7), (5, 8.4), (6.4, 7))),
    "structure": (_square(1.5, 2, 2.6, 6), ((5, 5), (6, 5)), ((7.5, 1.5), (7.5, 8.5))),
    "aggregation": (((2, 2), (5, 8), (8, 2)), ((5, 2), (5, 8))),
    "arrangement": (_square(1.8, 1.8, 2.8), _square(5.6, 1.8, 2.8), _square(1.8, 5.6, 2.8), ((5.8, 7), (8.4, 7))),
    "sequences": (((1.5, 5), (8.5, 5)), ((2, 3), (2, 7)), ((5, 3), (5, 7)), ((8, 3), (8, 7))),
    "recurrent": (
        (
            (7.6, 3.2),
            (6.4, 2.1),
            (5, 1.8),
            (3.4, 2.2),
            (2.2, 3.4),
            (1.8, 5),
            (2.2, 6.6),
            (3.4, 7.8),
            (5, 8.2),
            (6.6, 7.8),
            (7.8, 6.6),
        ),
        ((7.8, 1.2), (7.7, 3.4), (5.6, 3.4)),
    ),
    "loss": (
        ((8.5, 5), (7.5, 7.5), (5, 8.5), (2.5, 7.5), (1.5, 5), (2.5, 2.5), (5, 1.5), (7.5, 2.5), (8.5, 5)),
        ((6.4, 5), (6, 6), (5, 6.4), (4, 6), (3.6, 5), (4, 4), (5, 3.6), (6, 4), (6.4, 5)),
    ),
    "chain": (_square(3.6, 1, 2.8, 2), _square(3.6, 4, 2.8, 2), _square(3.6, 7, 2.8, 2)),
    "graph": (((5, 1.8), (2.2, 5), (5, 8.2), (7.8, 5), (5, 1.8)), ((5, 1.8), (5, 8.2))),
    "placeholder": (((3, 3.4), (3.6, 2.2), (5, 1.8), (6.4, 2.2), (7, 3.4), (6.4, 4.8), (5, 5.4), (5, 6.4)), ((5, 8), (5, 8.2))),
}
ICONS |= dict.fromkeys(
    ("mapping", "applied"), (_square(1.5, 3.2, 1.8, 3.6), _square(4.1, 3.2, 1.8, 3.6), _square(6.7, 3.2, 1.8, 3.6))
)
ICONS |= {
    "folding": ICONS["recurrent"],
    "comparing": ICONS["attention"],
    "compiled": ICONS["function"],
    "flax": ICONS["function"],
}
OTHER: Strokes = (_square(2.5, 2.5, 5),)


def icon(family: str) -> Strokes:
    """The strokes for a family."""
    return ICONS.get(family, OTHER)
