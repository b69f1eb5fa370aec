"""A row of the comparison as a table, and as plain numbers."""

from __future__ import annotations

from typing import Any

from measuring import Spread, spread
from peers import PEERS, REFERENCE
from rows import Row
from tables import Report, Table

__all__ = ["comparison", "figures"]


def comparison(row: Row) -> Report:
    """How fast each peer was."""
    numbers = figures(row)
    limit = numbers["product"]["median"]
    # a single example shows as milliseconds, many as a rate
    unit, digits = ("ms", 3) if row.single else ("examples/s", 0)
    with_losses = bool(row.losses)
    lines = []
    for name, peer in numbers["peers"].items():
        shown = peer["milliseconds"] if row.single else peer["rate"]
        cells = [PEERS[name].title, *(f"{shown[key]:,.{digits}f}" for key in ("median", "lowest", "highest"))]
        cells += [f"{peer['netdsl_over_it']['median']:.2f}", f"{peer['flops'] / 1e9:,.1f}", f"{peer['flops'] / limit:.1%}"]
        lines.append([*cells, f"{peer['loss']:.4f}"] if with_losses else cells)
    header = ["", unit, "lowest", "highest", "netdsl / it", "GFLOP/s", "of the limit", *(["first loss"] if with_losses else [])]
    size = f"{row.count:,} {'calls' if row.single else 'examples'} a turn, {numbers['rounds']} turns timed"
    title = f"{row.title}: {size}, {row.flops / 1e6:.3g} MFLOP an example"
    return Report(Table(title, header, lines, _notes(row, numbers)), numbers)


def figures(row: Row) -> dict[str, Any]:
    """The numbers of a row, by peer."""
    peers = {}
    for name, seconds in row.timings.seconds.items():
        rate = spread([row.count / each for each in seconds])
        peers[name] = {
            "rate": rate._asdict(),
            "milliseconds": spread([1000 * each / row.count for each in seconds])._asdict(),
            "netdsl_over_it": row.timings.ratios(name, REFERENCE)._asdict(),
            "flops": rate.median * row.flops,
            "loss": row.losses.get(name),
        }
    product = spread(row.timings.products)
    rounds = len(row.timings.seconds[REFERENCE])
    return {
        "rounds": rounds,
        "count": row.count,
        "flops": row.flops,
        "product": product._asdict(),
        "peers": peers,
        "left_out": row.left_out,
    }


def _notes(row: Row, numbers: dict[str, Any]) -> list[str]:
    notes = []
    peers = numbers["peers"]
    rivals = [name for name in peers if PEERS[name].rival]
    if rivals:
        best = max(rivals, key=lambda name: peers[name]["rate"]["median"])
        notes.append(f"netdsl over the best peer, {PEERS[best].title}: {_range(row, best)}")
    for name, words in (("plain_jax", "the loop written by hand"), ("chunks", "its own compiled function in a bare loop")):
        if name in peers:
            notes.append(f"netdsl over {words}: {_range(row, name)}")
    product = Spread(**numbers["product"])
    notes.append(
        "The limit is a float32 matrix product, measured before each turn: "
        f"{product.median / 1e9:,.0f} GFLOP/s ({product.lowest / 1e9:,.0f} to {product.highest / 1e9:,.0f})"
    )
    return notes + [f"{PEERS[name].title} is left out: {reason}" for name, reason in row.left_out.items()]


def _range(row: Row, name: str) -> str:
    ratios = row.timings.ratios(name, REFERENCE)
    return f"{ratios.median:.2f} ({ratios.lowest:.2f} to {ratios.highest:.2f})"
