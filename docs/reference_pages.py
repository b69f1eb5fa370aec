"""The reference: one page for each public symbol, written from its docstring and its declared parameters when the docs are built.

`documented()` lists the symbols by group without Sphinx, for the tests as well; `write_pages` writes ``docs/reference/``.
"""

from __future__ import annotations

import ast
import inspect
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import netdsl
from netdsl import functions, symbols
from netdsl.constraints import source_text
from netdsl.declarations import REQUIRED, Declared
from netdsl.decoders import DECODERS
from netdsl.encoders import ENCODERS
from netdsl.functions import Function
from netdsl.nets import Net

FAMILIES = {
    "netdsl.layers.linear": "Basic layers",
    "netdsl.layers.elementwise": "Basic layers",
    "netdsl.layers.random": "Basic layers",
    "netdsl.layers.function": "Functions and modules as layers",
    "netdsl.layers.compiled": "Functions and modules as layers",
    "netdsl.layers.placeholder": "Functions and modules as layers",
    "netdsl.layers.flax": "Functions and modules as layers",
    "netdsl.layers.normalization": "Normalization and attention",
    "netdsl.layers.attention": "Normalization and attention",
    "netdsl.layers.convolution": "Convolution and pooling",
    "netdsl.layers.resampling": "Convolution and pooling",
    "netdsl.layers.image": "Convolution and pooling",
    "netdsl.layers.structure": "Structure of arrays",
    "netdsl.layers.aggregation": "Structure of arrays",
    "netdsl.layers.arrangement": "Structure of arrays",
    "netdsl.layers.sequences": "Sequences",
    "netdsl.layers.recurrent": "Recurrent layers",
    "netdsl.layers.loss": "Loss layers",
    "netdsl.layers.legacy": "Legacy layers",
}
"""The section of the page of layers that each module's layers stand in; other modules go under the module's own name."""

GROUPS = {
    "layers": "Layers",
    "containers": "Chains, graphs and operators",
    "coders": "Encoders and decoders",
    "training": "Initialization and training",
    "measurements": "Measurements",
    "surgery": "Surgery and information",
    "data": "Data, models and files",
    "symbols": "Symbols and list functions",
    "functions": "Functions",
    "errors": "Errors",
}

NET = ("function", "arrays", "state", "with_arrays", "to_flax", "initialized", "missing", "input_names", "output_names",
       "encoder", "decoder", "keys", "values")
"""What the page of the class Net shows of it: what users of JAX need, and nothing of the mechanism."""

MODULES = {
    "layers": "layers",
    "containers": "containers", "nets": "containers",
    "encoders": "coders", "decoders": "coders",
    "initialization": "training", "training": "training",
    "measurements": "measurements", "plots": "measurements",
    "surgery": "surgery", "information": "surgery", "display": "surgery",
    "columns": "data", "resources": "data", "formats": "data",
    "symbols": "symbols", "distributions": "symbols", "functions": "functions", "errors": "errors",
}
"""The group that each module of netdsl belongs to."""

SECTIONS = re.compile(
    r"(Ports|Arrays[^:\n]{0,60}|State|Parameters|Properties|Options|Input|Output|Raises|Differences from Wolfram|Source)\b(:?)")


@dataclass(frozen=True)
class Entry:
    """A symbol with a page: its name, the object, its group, the section of the group, and its docstring."""

    name: str
    thing: Any
    group: str
    section: str
    doc: str

    @property
    def page(self) -> str:
        """The page's path below ``reference/``, without suffix."""
        return f"{self.group}/{self.name}"


def documented() -> list[Entry]:
    """Every public symbol, and every kind of encoder and decoder, in the order of the groups."""
    entries = [_entry(name, getattr(netdsl, name)) for name in netdsl.__all__]
    entries.append(Entry("Net", Net, "containers", "", _own_doc(Net)))
    for title, kinds in (("NetEncoder", ENCODERS), ("NetDecoder", DECODERS)):
        section = "Kinds of encoders" if title == "NetEncoder" else "Kinds of decoders"
        entries += [Entry(f"{title}-{kind}", cls, "coders", section, _own_doc(cls)) for kind, cls in sorted(kinds.items())]
    return sorted(entries, key=lambda entry: list(GROUPS).index(entry.group))


def _entry(name: str, thing: Any) -> Entry:
    if name in netdsl.LEGACY_NAMES:
        doc = f"What older versions of Mathematica call `{thing.__name__}`."
        return Entry(name, thing, "symbols", "Names of older versions", doc)
    if isinstance(thing, Function):
        return Entry(name, thing, "functions", "", functions.DESCRIPTIONS.get(name, ""))
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return Entry(name, thing, "symbols", "Symbols", _constants().get(name, ""))
    module = thing.__module__.split(".")[1]
    group = MODULES.get(module)
    if group is None:
        raise LookupError(f"{name} comes from netdsl.{module}, which has no group in docs/reference_pages.py: add it to MODULES.")
    section = ""
    if group == "layers":
        section = FAMILIES.get(thing.__module__, thing.__module__.split(".")[-1].replace("_", " ").capitalize())
    elif group == "symbols":
        section = "Things written in nets and options" if inspect.isclass(thing) else "List functions"
    return Entry(name, thing, group, section, _own_doc(thing))


def _own_doc(thing: Any) -> str:
    """The docstring that was written for the thing: not one made by dataclass or inherited."""
    doc = thing.__doc__ or ""
    made = inspect.isclass(thing) and doc.startswith(f"{thing.__name__}(")
    return "" if made else inspect.cleandoc(doc)


def _constants() -> dict[str, str]:
    """The docstrings that follow assignments in netdsl/symbols.py and netdsl/__init__.py."""
    found = {}
    for module in (symbols, netdsl):
        for statement, after in pairwise(ast.parse(Path(inspect.getfile(module)).read_text(encoding="utf-8")).body):
            if isinstance(statement, ast.Assign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found[statement.targets[0].id] = inspect.cleandoc(str(after.value.value))
    return found


# Pages

def write_pages(folder: Path, further: Mapping[str, str] = MappingProxyType({})) -> list[Entry]:
    """Write all pages below `folder`, leave those that did not change alone, and remove what is no longer there.

    `further` are pages besides those of the symbols, by path.
    """
    entries = documented()
    pages = {f"{entry.page}.rst": _page(entry) for entry in entries} | dict(further)
    for group, title in GROUPS.items():
        pages[f"{group}/index.rst"] = _group_page(title, [entry for entry in entries if entry.group == group])
    pages["index.rst"] = _index(entries)
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in list(folder.rglob("*.rst")):
        if str(path.relative_to(folder).as_posix()) not in pages:
            path.unlink()
    for path in [path for path in folder.iterdir() if path.is_dir() and not any(path.iterdir())]:
        shutil.rmtree(path)
    return entries


def heading(title: str, line: str) -> list[str]:
    """A heading underlined with this sign."""
    return [title, line * max(len(title), 3), ""]


def _toctree(names: list[str], hidden: bool = True) -> list[str]:
    return [".. toctree::", "   :hidden:" if hidden else "   :maxdepth: 1", "", *[f"   {name}" for name in names], ""]


def _index(entries: list[Entry]) -> str:
    lines = heading("Reference", "=")
    lines += [f"One page for each of the {len(entries)} public symbols and kinds of encoders and decoders.",
              "The mark [M] stands beside what Wolfram's public pages leave open and netdsl had to choose.", ""]
    for group, title in GROUPS.items():
        members = [entry for entry in entries if entry.group == group]
        if members:
            lines += [f":doc:`{title} <{group}/index>`", "   " + ", ".join(f":doc:`{label(m)} <{m.page}>`" for m in members), ""]
    return "\n".join(lines + _toctree([f"{group}/index" for group in GROUPS if any(e.group == group for e in entries)]))


def label(entry: Entry) -> str:
    """A symbol as it is written."""
    return entry.name if "-" not in entry.name else '{}("{}")'.format(*entry.name.split("-"))


def _group_page(title: str, members: list[Entry]) -> str:
    lines = heading(title, "=")
    if not members:
        return "\n".join([":orphan:", "", *lines])
    order = [*FAMILIES.values()]
    sections = dict.fromkeys(member.section for member in members)
    for section in sorted(sections, key=lambda section: order.index(section) if section in order else len(order)):
        if section:
            lines += heading(section, "-")
        lines += [".. list-table::", "   :width: 100%", "   :widths: 30 70", ""]
        for member in members:
            if member.section == section:
                lines += [f"   * - :doc:`{label(member)} <{member.name}>`", f"     - {summary(member.doc)}"]
        lines.append("")
    return "\n".join(lines + _toctree([member.name for member in members]))


def summary(doc: str) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(doc.split("\n\n")[0].split()) or "…"


def _page(entry: Entry) -> str:
    lines = heading(label(entry), "=")
    lines += [".. py:currentmodule:: netdsl", ""]
    table = [] if entry.name in netdsl.LEGACY_NAMES else _parameter_table(entry.thing)
    body = [*_body(entry.doc), *table]
    directive, signature = _signature(entry)
    lines += [f".. py:{directive}:: {signature}", ""]
    lines += [f"   {line}" if line else "" for line in body]
    methods = [] if entry.name in netdsl.LEGACY_NAMES else _methods(entry.thing)
    if methods:
        lines += ["", "   .. rubric:: Attributes and methods", ""]
        for kind, text, doc in methods:
            lines += [f"   .. py:{kind}:: {text}", "      :no-index:", ""]
            lines += [f"      {line}" if line else "" for line in _body(doc)]
    return "\n".join(lines) + "\n"


def _signature(entry: Entry) -> tuple[str, str]:
    """The directive for the object and its signature as a user writes it."""
    thing, name = entry.thing, entry.name
    if isinstance(thing, Function) or name in netdsl.LEGACY_NAMES:
        return "data", name
    if thing is Net:
        return "class", name
    if "-" in name:
        coder, kind = name.split("-")
        inner = _declared_arguments(thing)
        return "function", f'{coder}("{kind}"{", " + inner if inner else ""})\n   :no-index:'
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return "data", name
    if entry.group == "errors":
        return "exception", name
    directive = "class" if inspect.isclass(thing) else "function"
    if inspect.isclass(thing) and issubclass(thing, Declared) and thing.parameters:
        return directive, f"{name}({_declared_arguments(thing)})"
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return directive, name
    bare = signature.replace(
        parameters=[p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()],
        return_annotation=inspect.Signature.empty)
    return directive, f"{name}{bare}"


def _declared_arguments(cls: type[Declared]) -> str:
    positional = [p for p in cls.parameters.values() if p.positional]
    keywords = [p for p in cls.parameters.values() if not p.positional]
    written = [p.name if p.default is REQUIRED else f"{p.name}={source_text(p.default)}" for p in positional]
    written += ["/"] * bool(positional)
    written += ["*"] * bool(keywords) + [f"{p.name}={source_text(p.default)}" for p in keywords]
    return ", ".join(written)


def _parameter_table(thing: Any) -> list[str]:
    """What each declared parameter takes, from the declaration itself."""
    if not (inspect.isclass(thing) and issubclass(thing, Declared)) or not thing.parameters:
        return []
    lines = ["", ".. rubric:: What the parameters take", "", ".. list-table::", "   :width: 100%",
             "   :header-rows: 1", "   :widths: 25 50 25", "",
             "   * - Parameter", "     - Value", "     - Default"]
    for p in thing.parameters.values():
        default = "needed" if p.default is REQUIRED else f"``{source_text(p.default)}``"
        name = f"``{p.name}``{' (positional)' if p.positional else ''}"
        lines += [f"   * - {name}", f"     - {_escaped(p.constraint.words)}", f"     - {default}"]
    return lines


def _methods(thing: Any) -> list[tuple[str, str, str]]:
    """The public methods and properties that the class itself documents."""
    if not inspect.isclass(thing) or (issubclass(thing, (BaseException, Declared)) and thing is not Net):
        return []
    found = []
    members = {name: vars(Net)[name] for name in NET} if thing is Net else vars(thing)
    for name, member in members.items():
        doc = inspect.getdoc(member) if isinstance(member, property) or inspect.isfunction(member) else None
        if name.startswith("_") or not doc:
            continue
        if isinstance(member, property):
            found.append(("attribute", name, doc))
        else:
            parameters = list(inspect.signature(member).parameters.values())[1:]
            bare = inspect.Signature([p.replace(annotation=inspect.Parameter.empty) for p in parameters])
            found.append(("method", f"{name}{bare}", doc))
    return found


def _escaped(text: str) -> str:
    return re.sub(r"([*`|\\])", r"\\\1", text)


def _body(doc: str) -> list[str]:
    """The docstring as reStructuredText: equations as literal blocks, sections with bold words, the rest as it is."""
    lines: list[str] = []
    for number, paragraph in enumerate(re.split(r"\n\s*\n", doc)):
        rows = paragraph.split("\n")
        if number and _is_equation(rows):
            lines += [".. code-block:: text", "", *[f"   {row}" for row in rows], ""]
            continue
        if not rows[0].startswith((" ", ">>>", "-", "::", "``")):
            section = SECTIONS.match(rows[0])
            if section and (section[2] or section[1] == "Raises"):
                rows = [f"**{section[1]}**{section[2]}{rows[0][section.end():]}", *rows[1:]]
            rows = _sources_apart(rows)
        lines += [*rows, ""]
    return lines


def _sources_apart(rows: list[str]) -> list[str]:
    """The sentence on the source as a paragraph of its own."""
    text = "\n".join(rows)
    return re.sub(r"\s*\bSource: (?=Wolfram)", "\n\n**Source**: ", text).split("\n")


def _is_equation(rows: list[str]) -> bool:
    """Whether a paragraph states what is computed: it begins with a name, an index and an equals sign."""
    return bool(re.match(r"[\w\"][\w, .\[\]:…\"]{0,30} = |\"Index\": Loss", rows[0])) and not rows[0].startswith(">>>")
