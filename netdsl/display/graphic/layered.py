"""Layered layout: boxes in ranks from top to bottom, wires bent between the ranks, few crossings, straight long wires.

Boxes are sorted into ranks by their longest path. A wire that spans several ranks gets a bend in each rank between; wires from one
port share them. The order in a rank comes from sweeps of barycentres, the places from least squares with the distances as bounds.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from netdsl.display.graphic.items import Item, Link, Placed

__all__ = ["placed"]

BETWEEN, BESIDE = 26.0, 14.0
"""The least distance between two boxes of a rank, and between a bend and what is beside it."""
GAP = 26.0
"""The least height between two ranks."""
STEEP = 0.14
STEEPEST = 70.0
"""Wires that go far to the side get more height, this share of their width up to so much."""
LEAD = 15.0
"""The height between two ranks where labels stand."""
INSET = 14.0
"""How far from a box's corner wires meet it."""
APART = 12.0
"""The distance of two wires at a box."""
TALL, RATIO = 1300.0, 0.75
"""What is taller than this is put into columns, whose number gives about this ratio of height to width."""
SHORTER = 0.75
"""Columns that do not make it shorter than this share of its height are not worth it."""
GUTTER, TURN = 36.0, 16.0
"""Between two columns, and above and below them for the wire that leads over."""
SWEEPS = 10
ROUNDS = 12


def placed(items: Sequence[Item], links: Sequence[Link], fold: bool = False) -> Placed:
    """The layout of items that come in an order in which every link goes forward; with `fold` long ones stand in columns."""
    return _Layout(items, links).done(fold)


class _Layout:
    def __init__(self, items: Sequence[Item], links: Sequence[Link]) -> None:
        self.items, self.links = items, links
        self.count = len(items)
        self.ranks = _ranks(items, links)
        self.widths = [item.width for item in items]
        self.round: set[int] = set()
        """The bends of wires that go round what another wire of the same item leads to."""
        self.trunks: dict[tuple[int, str], dict[int, int]] = defaultdict(dict)
        self.ways = [self._way(link) for link in links]
        self.after: dict[int, list[int]] = defaultdict(list)
        self.before: dict[int, list[int]] = defaultdict(list)
        for way in self.ways:
            for one, next_ in pairwise(way):
                if next_ not in self.after[one]:
                    self.after[one].append(next_)
                    self.before[next_].append(one)
        self.rows = self._first_rows()

    def _way(self, link: Link) -> list[int]:
        """The item, the bends and the item that a link leads through."""
        trunk = self.trunks[link.source, link.out]
        for rank in range(self.ranks[link.source] + 1, self.ranks[link.target]):
            if rank not in trunk:
                trunk[rank] = len(self.ranks)
                self.ranks.append(rank)
                self.widths.append(0.0)
        return [
            link.source,
            *(trunk[rank] for rank in range(self.ranks[link.source] + 1, self.ranks[link.target])),
            link.target,
        ]

    def _first_rows(self) -> list[list[int]]:
        """Every rank in the order of a walk that follows short wires first."""
        rows: list[list[int]] = [[] for _ in range(max(self.ranks, default=0) + 1)]
        seen: set[int] = set()
        for start in range(self.count):
            if self.before[start]:
                continue
            waiting = [start]
            while waiting:
                at = waiting.pop()
                if at in seen:
                    continue
                seen.add(at)
                rows[self.ranks[at]].append(at)
                waiting += sorted(self.after[at], key=lambda n: (n < self.count, -n))
        return rows

    def done(self, fold: bool) -> Placed:
        self._order()
        x = self._places()
        tops, bottoms = self._bands(x)
        made = self._routed(x, tops, bottoms)
        if fold and made.height > TALL:
            self._fold(made, tops, bottoms)
        return made

    def _fold(self, made: Placed, tops: list[float], bottoms: list[float]) -> None:
        """Put the ranks into columns, cut where a single wire leads from box to box."""
        across: dict[int, set[tuple[int, int]]] = defaultdict(set)
        for way in self.ways:
            for one, next_ in pairwise(way):
                across[self.ranks[one]].add((one, next_))
        cuts = [rank for rank, pairs in across.items() if len(pairs) == 1 and max(next(iter(pairs))) < self.count]
        columns = max(round(math.sqrt(made.height / (made.width + GUTTER) / RATIO)), 1)
        high, starts = made.height / columns, [0]
        for rank in sorted(cuts):
            beyond = bottoms[min(rank + 1, len(bottoms) - 1)] - tops[starts[-1]]
            if beyond > high and len(self.rows) - rank > 3:
                starts.append(rank + 1)
        if len(starts) > 1 and bottoms[-1] - tops[starts[-1]] < high / 4:
            starts.pop()
        if max(bottoms[end - 1] - tops[start] for start, end in zip(starts, [*starts[1:], len(tops)])) > SHORTER * made.height:
            return
        column = [bisect_right(starts, rank) - 1 for rank in range(len(self.rows))]
        spans: dict[int, list[float]] = defaultdict(list)
        for at in range(self.count):
            spans[column[self.ranks[at]]] += [made.x[at] - self.widths[at] / 2, made.x[at] + self.widths[at] / 2]
        for way, route in zip(self.ways, made.routes):
            if column[self.ranks[way[0]]] == column[self.ranks[way[-1]]]:
                spans[column[self.ranks[way[0]]]] += [x for x, _ in route]
        shift, lefts = 0.0, []
        for number in range(len(starts)):
            lefts.append(shift - min(spans[number]))
            shift += max(spans[number]) - min(spans[number]) + GUTTER
        lift = [tops[start] - TURN for start in starts]
        for at in range(self.count):
            number = column[self.ranks[at]]
            made.x[at] += lefts[number]
            made.y[at] -= lift[number]
        for index, (way, route) in enumerate(zip(self.ways, made.routes)):
            one, other = column[self.ranks[way[0]]], column[self.ranks[way[-1]]]
            end = route[-1]
            moved = [(x + lefts[one], y - lift[one]) for x, y in route]
            if one != other:
                made.folds.add(index)
                (x, y), (to, top) = moved[0], (end[0] + lefts[other], end[1] - lift[other])
                aside = lefts[other] + min(spans[other]) - GUTTER / 2
                moved = [(x, y), (x, y + TURN), (aside, y + TURN), (aside, 0.0), (to, 0.0), (to, top)]
            made.routes[index] = moved
        made.width = shift - GUTTER
        made.height = max([y + item.height / 2 for y, item in zip(made.y, self.items)]) + TURN

    # Order

    def _order(self) -> None:
        best, fewest = [list(row) for row in self.rows], self._crossings()
        idle = 0
        for sweep in range(SWEEPS):
            if not fewest or idle > 3:
                break
            down = sweep % 2 == 0
            place = {at: i for row in self.rows for i, at in enumerate(row)}
            order = range(1, len(self.rows)) if down else range(len(self.rows) - 2, -1, -1)
            near = self.before if down else self.after
            for rank in order:
                middle = {
                    at: sum(place[n] for n in near[at]) / len(near[at]) if near[at] else float(place[at])
                    for at in self.rows[rank]
                }
                self.rows[rank].sort(key=middle.__getitem__)
                place.update((at, i) for i, at in enumerate(self.rows[rank]))
            crossings = self._crossings()
            idle += 1
            if crossings < fewest:
                best, fewest, idle = [list(row) for row in self.rows], crossings, 0
        self.rows = best

    def _crossings(self) -> int:
        total = 0
        for row, below in pairwise(self.rows):
            place = {at: i for i, at in enumerate(below)}
            ends: list[int] = []
            for at in row:
                targets = sorted(place[n] for n in self.after[at])
                total += sum(len(ends) - bisect_right(ends, target) for target in targets)
                for target in targets:
                    insort(ends, target)
        return total

    # Places

    def _space(self, left: int, right: int) -> float:
        """The least distance of the middles of two neighbours in a rank."""
        boxes = left < self.count and right < self.count
        return (self.widths[left] + self.widths[right]) / 2 + (BETWEEN if boxes else BESIDE)

    def _skips(self, at: int, other: int) -> bool:
        """Whether a wire is the way round of one that also goes straight on: it pulls no box to the side."""
        return at in self.round or other in self.round

    def _places(self) -> list[float]:
        for (source, _), trunk in self.trunks.items():
            if any(n < self.count for n in self.after[source]):
                self.round.update(trunk.values())
        spaces = [[self._space(a, b) for a, b in pairwise(row)] for row in self.rows]
        x = [0.0] * len(self.ranks)
        for row, space in zip(self.rows, spaces):
            half = sum(space) / 2
            for at, offset in zip(row, _sums(space)):
                x[at] = offset - half
        self.pulls = [self._pulling(self.before), self._pulling(self.after)]
        rounds = ROUNDS if len(self.ranks) < 5000 else 4
        for turn in range(rounds):
            down = turn % 2 == 0
            near = self.pulls[0] if down else self.pulls[1]
            for rank in range(len(self.rows)) if down else range(len(self.rows) - 1, -1, -1):
                self._settle(x, rank, spaces[rank], near)
        self._align(x, spaces)
        left = min((x[at] - self.widths[at] / 2 for row in self.rows for at in row[:1]), default=0.0)
        return [place - left for place in x]

    def _pulling(self, near: dict[int, list[int]]) -> list[list[int]]:
        """The neighbours that say where each item wants to be."""
        wanted = []
        for at in range(len(self.ranks)):
            straight = [n for n in near[at] if not self._skips(at, n)] if at < self.count else near[at]
            wanted.append(straight or near[at])
        return wanted

    def _settle(self, x: list[float], rank: int, space: list[float], near: list[list[int]]) -> None:
        """The places of one rank nearest to where its items want to be."""
        row = self.rows[rank]
        wish = [sum(x[n] for n in near[at]) / len(near[at]) if near[at] else x[at] for at in row]
        weight = [8.0 if at < self.count else 1.0 for at in row]
        for at, place in zip(row, _nearest(wish, weight, space)):
            x[at] = place

    def _align(self, x: list[float], spaces: list[list[float]]) -> None:
        """Make long wires and columns of boxes straight, moving to the right what is in the way, and then back to the middle."""
        blocks = self._blocks()
        for turn in range(60):
            before = list(x)
            for block in blocks:
                most = max(x[at] for at in block)
                for at in block:
                    x[at] = most
            for row, space in zip(self.rows, spaces):
                for one, next_, least in zip(row, row[1:], space):
                    x[next_] = max(x[next_], x[one] + least)
            if max((abs(a - b) for a, b in zip(before, x)), default=0.0) < 0.01:
                break
            if turn > 40:  # what cannot all be straight stays bent
                blocks = [block for block in blocks if max(x[at] for at in block) - min(x[at] for at in block) < 0.01]
        self._centre(x, spaces, blocks)

    def _centre(self, x: list[float], spaces: list[list[float]], blocks: list[list[int]]) -> None:
        """Move every column towards the middle of what it is wired to, as far as there is room."""
        left, right = {}, {}
        for row, space in zip(self.rows, spaces):
            for one, next_, least in zip(row, row[1:], space):
                left[next_], right[one] = (one, least), (next_, least)
        held = {at for block in blocks for at in block}
        blocks = [*blocks, *([at] for at in range(len(self.ranks)) if at not in held)]
        for _ in range(4):
            for block in blocks:
                inside = set(block)
                pulls = [x[n] - x[at] for at in block for near in self.pulls for n in near[at] if n not in inside]
                if pulls:
                    low = max((x[n] + least - x[at] for at in block if at in left for n, least in [left[at]]), default=-1e9)
                    high = min((x[n] - least - x[at] for at in block if at in right for n, least in [right[at]]), default=1e9)
                    move = min(max(sum(pulls) / len(pulls), min(low, 0.0)), max(high, 0.0))
                    for at in block:
                        x[at] += move

    def _blocks(self) -> list[list[int]]:
        """What should stand straight: the bends of a wire, and boxes with one way in and one way out beside those that go round."""
        following: dict[int, int] = {}
        for trunk in self.trunks.values():
            bends = list(trunk.values())
            following.update(pairwise(bends))
        for at in range(self.count):
            out = [n for n in self.after[at] if not self._skips(at, n)]
            if len(out) == 1:
                into = [n for n in self.before[out[0]] if not self._skips(out[0], n)]
                if len(into) == 1:
                    following[at] = out[0]
        blocks, inner = [], set(following.values())
        for at in following:
            if at not in inner:
                blocks.append([at])
                while blocks[-1][-1] in following:
                    blocks[-1].append(following[blocks[-1][-1]])
        return blocks

    # Routes

    def _routed(self, x: list[float], tops: list[float], bottoms: list[float]) -> Placed:
        middles = [(top + bottom) / 2 for top, bottom in zip(tops, bottoms)]
        y = [middles[self.ranks[at]] for at in range(self.count)]
        starts, ends = self._attached(x)
        routes = []
        for link, way in zip(self.links, self.ways):
            half = self.items[link.source].height / 2
            start = starts[link.source, link.out, way[1]]
            points = [(start, y[link.source] + half), (start, bottoms[self.ranks[link.source]])]
            for bend in way[1:-1]:
                points += [(x[bend], tops[self.ranks[bend]]), (x[bend], bottoms[self.ranks[bend]])]
            end = ends[link.target, link.port, way[-2]]
            points += [(end, tops[self.ranks[link.target]]), (end, y[link.target] - self.items[link.target].height / 2)]
            routes.append(points)
        right = max((x[at] + self.widths[at] / 2 for row in self.rows for at in row[-1:]), default=0.0)
        top = min((y[at] - item.height / 2 for at, item in enumerate(self.items)), default=0.0)
        bottom = max((y[at] + item.height / 2 for at, item in enumerate(self.items)), default=0.0)
        routes = [[(a, b - top) for a, b in route] for route in routes]
        return Placed(x[: self.count], [each - top for each in y], routes, right, bottom - top)

    def _bands(self, x: list[float]) -> tuple[list[float], list[float]]:
        """Where each rank begins and ends, with room for labels above and below its boxes."""
        labelled = {self.ranks[link.target] for link in self.links if link.head}
        labelled |= {self.ranks[link.source] for link in self.links if link.tail}
        tops, bottoms, y = [], [], 0.0
        for rank, row in enumerate(self.rows):
            tall = max((self.items[at].height for at in row if at < self.count), default=0.0)
            tops.append(y)
            y += tall + (2 * LEAD if rank in labelled else 0.0)
            bottoms.append(y)
            aside = max((abs(x[n] - x[at]) for at in row for n in self.after[at]), default=0.0)
            y += GAP + min(STEEP * max(aside - 60, 0), STEEPEST)
        return tops, bottoms

    def _attached(self, x: list[float]) -> tuple[dict[tuple[int, str, int], float], dict[tuple[int, str, int], float]]:
        """Where each wire leaves its box, by item, port and what comes next, and where it arrives."""
        starts: dict[tuple[int, str, int], float] = {}
        ends: dict[tuple[int, str, int], float] = {}
        out: dict[int, dict[tuple[str, int], tuple[float, float]]] = defaultdict(dict)
        into: dict[int, dict[tuple[str, int], tuple[float, float]]] = defaultdict(dict)
        for link, way in zip(self.links, self.ways):
            out[link.source][link.out, way[1]] = (x[way[1]], link.tail)
            into[link.target][link.port, way[-2]] = (x[way[-2]], link.head)
        for wanted, fixed, found in ((out, "outs", starts), (into, "ins", ends)):
            for at, wires in wanted.items():
                at_ports = getattr(self.items[at], fixed)
                if at_ports or self.items[at].end:
                    left = x[at] - self.widths[at] / 2
                    found.update(((at, port, way), left + at_ports.get(port, self.widths[at] / 2)) for port, way in wires)
                else:
                    keys = sorted(wires, key=lambda key: wires[key][0])
                    places = self._spread(at, x[at], [wires[key] for key in keys])
                    found.update(((at, *key), place) for key, place in zip(keys, places))
        return starts, ends

    def _spread(self, at: int, middle: float, wires: list[tuple[float, float]]) -> list[float]:
        """Places at the border of a box, each as near as can be to where its wire comes from, with room for the labels."""
        room = self.widths[at] / 2
        inset = min(INSET, room)
        label = wires[-1][1] + 4 if wires[-1][1] else 0.0
        low, high = middle - room + inset, middle + room - max(inset, label)
        space = [max(APART, label + 10 if label else 0.0) for _, label in wires[:-1]]
        if sum(space) > high - low:
            space = [each * max(high - low, 0.0) / sum(space) for each in space]
        wish = [min(max(place, low), high) for place, _ in wires]
        found = _nearest(wish, [1.0 + 9.0 * (abs(place - middle) < 1) for place, _ in wires], space)
        shift = max(low - found[0], 0.0)
        found = [place + shift for place in found]
        for i in range(len(found) - 1, -1, -1):
            most = high if i == len(found) - 1 else found[i + 1] - space[i]
            found[i] = min(found[i], most)
        return found


def _ranks(items: Sequence[Item], links: Sequence[Link]) -> list[int]:
    """The rank of every item: its longest path; what only feeds later ones stands just above them."""
    framed = any(item.end for item in items)
    ranks = [0 if item.end == "first" or not framed else 1 for item in items]
    targets: dict[int, set[int]] = defaultdict(set)
    sources: dict[int, set[int]] = defaultdict(set)
    for link in links:
        targets[link.source].add(link.target)
        sources[link.target].add(link.source)
    for at in range(len(items)):
        for target in targets[at]:
            ranks[target] = max(ranks[target], ranks[at] + 1)
    floats: dict[int, bool] = {}
    for at, item in enumerate(items):
        floats[at] = not item.end and all(floats[source] and len(targets[source]) == 1 for source in sources[at])
    deepest = max((rank for rank, item in zip(ranks, items) if item.end != "last"), default=0)
    for at in range(len(items) - 1, -1, -1):
        if items[at].end == "last":
            ranks[at] = deepest + 1
        elif floats[at] and targets[at]:
            ranks[at] = min(ranks[target] for target in targets[at]) - 1
    used = {rank: number for number, rank in enumerate(sorted(set(ranks)))}
    return [used[rank] for rank in ranks]


def _sums(space: Sequence[float]) -> list[float]:
    found = [0.0]
    for each in space:
        found.append(found[-1] + each)
    return found


def _nearest(wish: Sequence[float], weight: Sequence[float], space: Sequence[float]) -> list[float]:
    """The numbers nearest to the wishes, in weighted squares, whose neighbours are at least so far apart."""
    offsets = _sums(space)
    blocks: list[list[float]] = []
    for each, heavy, offset in zip(wish, weight, offsets):
        blocks.append([each - offset, heavy, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            value, more, count = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + value * more) / (last[1] + more)
            last[1] += more
            last[2] += count
    flat = [value for value, _, count in blocks for _ in range(int(count))]
    return [value + offset for value, offset in zip(flat, offsets)]
