"""Wrong uses of every layer, derived from its declaration, and what is said of each: kept word for word beside this file.

After a change of words or a new layer: ``PYTHONPATH=.:tests python tests/laws/test_wrong_use_messages.py`` writes them anew.
Read what changed as a user would who did that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from specimens import PLACEHOLDERS, SPECIMENS, initialized, things

from netdsl.errors import NetError
from netdsl.nets import Layer, Net

GOLDEN = Path(__file__).with_name("wrong_use.txt")


def given_wrongly(net: Net, given: dict[str, Any]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Wrong values at each port of a net, for which `given` is right."""
    for port, right in given.items():
        others = {name: value for name, value in given.items() if name != port}

        def use(value: Any, port: str = port, others: Any = others) -> Callable[[], Any]:
            return lambda: net({**others, port: value})

        yield f"{port} of a rank too high by two", use(right[None, None])
        if right.ndim:
            yield f"{port} of a rank too low", use(right[0])
        for level, size in enumerate(net.port_type(port).sizes or ()):
            if isinstance(size, int):
                larger = np.concatenate([right, right.take([0], level)], level)
                yield f"{port} with {size + 1} instead of {size} at level {level + 1}", use(larger)
        if right.ndim != 1:  # a list without elements is no examples
            yield f"{port} without elements", use(right[:0] if right.ndim else np.zeros((0, 0)))
        yield f"{port} of strings", use("three")
        if net.port_type(port).integer:
            yield f"{port} of 0 where integers are", use(np.zeros_like(right))
            yield f"{port} of halves", use(right + 0.5)
        if others:
            yield f"no {port}", lambda others=others: net(others)
    yield "a port that is not there", lambda: net({**given, "Imput": 1.0})


def declared_wrongly(net: Net) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Each port with other sizes, and each array."""
    for port in (*net.input_names, *net.output_names):
        type_ = net.port_type(port)
        if type_.sizes is None:
            continue
        sizes = ["Varying" if i == 0 and type_.varying else size for i, size in enumerate(type_.sizes)]
        kind = ["Integer"] if type_.integer else []
        wrong = {"a rank more": [*sizes, 2], "a vector of varying size": ["Varying"]}
        for level, size in enumerate(sizes):
            if isinstance(size, int):
                wrong[f"{size + 1} instead of {size} at level {level + 1}"] = [*sizes[:level], size + 1, *sizes[level + 1 :]]
        if sizes:
            wrong |= {"a rank less": sizes[:-1], "1 at each level": [1 for _ in sizes]}
        uses = {f"with {what}": [*value, *kind] for what, value in wrong.items()}
        if not type_.integer:
            uses["of integers"] = [*sizes, "Integer"]
        for what, value in uses.items():
            yield f"{port} declared {what}", lambda port=port, value=value: net.changed(**{port: value}).solved
    if isinstance(net, Layer):
        for name in net.array_values():
            sizes = net.solved.arrays[(name,)].sizes if (name,) in net.solved.arrays else None
            if sizes is None or not all(isinstance(size, int) for size in sizes):
                continue
            wrong = {"of a rank too high": (*sizes, 2)}
            for level, size in enumerate(sizes):
                larger = (*sizes[:level], size + 1, *sizes[level + 1 :])
                wrong[f"with {size + 1} instead of {size} at level {level + 1}"] = larger
            for what, given in wrong.items():
                yield f"{name} {what}", lambda name=name, given=given: net.changed(**{name: np.zeros(given)}).solved


def parameters_wrongly(net: Net) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Each parameter with values that its constraint does not take, a name that is none, too many arguments."""
    for name, declared in net.parameters.items():
        for value in declared.constraint.bad:
            yield f"{name}={value!r}", lambda name=name, value=value: net.changed(**{name: value})
    if isinstance(net, Layer) and not net.nets:
        yield "ten arguments", lambda: type(net)(*range(1, 11))
    yield "an option that is not there", lambda: net.changed(Colour=1)


def said(use: Callable[[], Any]) -> str | None:
    """What is said of a use, None where it is none that is wrong."""
    try:
        use()
    except NetError as error:
        text = re.sub(r"<lambda at [^>]*>", "<lambda>", str(error))
        return f"{type(error).__name__}: {text}"
    return None


@cache
def messages() -> tuple[tuple[str, str, str], ...]:
    """The title of a net, what was done and what was said; each of a class once."""
    found: dict[tuple[str, str, str], None] = {}
    seen: set[type] = set()
    for specimen in (*SPECIMENS, *PLACEHOLDERS):
        net = specimen.make()
        if type(net) in seen:
            continue
        seen.add(type(net))
        title, uses = net.title(), [*declared_wrongly(net), *parameters_wrongly(net)]
        if specimen not in PLACEHOLDERS:
            net = initialized(specimen)
            uses += given_wrongly(net, {port: values[0] for port, values in things(specimen, net, 1).items()})
        for what, use in uses:
            text = said(use)
            if text is not None:
                found[title, what, text] = None
    return tuple(found)


def written() -> str:
    blocks, last = [], None
    for title, what, text in sorted(messages(), key=lambda message: message[0]):
        blocks.append(f"{'' if title == last else f'## {title}' + chr(10) * 2}# {what}\n{text}\n")
        last = title
    return "\n".join(blocks)


def test_every_message_is_the_one_that_was_read():
    assert written() == GOLDEN.read_text(), f"the words changed: {__doc__}"


def test_every_layer_refuses_something():
    refusing = {title for title, _, _ in messages()}
    assert {specimen.make().title() for specimen in SPECIMENS} <= refusing


def test_no_message_tells_of_the_inside():
    inside = re.compile(r"\bjax\b|jnp|numpy|Traceback|Tracer|<.* object at|NoneType|\binf\b")
    assert [text for _, _, text in messages() if inside.search(text)] == []


def test_every_message_is_whole_sentences_and_names_what_is_wrong():
    for title, what, text in messages():
        assert re.search(r"[.?]$", text), text
        named = what.split()[0].split("=")[0]
        if named not in ("a", "an", "no", "ten"):
            assert named in text or title in text or re.search(r"(element|layer) \S+, \w+", text), (what, text)


if __name__ == "__main__":
    GOLDEN.write_text(written())
