"""How Sphinx builds these pages: ``python -m sphinx -W docs docs/_build/html``."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE.parent / "tests")]

from coverage_page import coverage_page  # noqa: E402
from docutils import nodes  # noqa: E402
from family_pages import family_pages  # noqa: E402
from reference_pages import documented, write_pages  # noqa: E402

import netdsl  # noqa: E402

project = "netdsl"
release = netdsl.__version__
copyright = "the netdsl authors"

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "README.md"]
default_role = "py:obj"
add_module_names = False
toc_object_entries = False
python_maximum_signature_line_length = 100
highlight_language = "python"

html_theme = "furo"
html_title = "netdsl"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["netdsl.css"]
smartquotes = False

PAGES = {}


def link_names(app, doctree, docname):
    """Turn public names that stand in prose as `name` or `name(...)` into links to their pages."""
    for literal in list(doctree.findall(nodes.literal)):
        name = literal.astext().split("(")[0]
        target = PAGES.get(name)
        if target is None or target == docname or isinstance(literal.parent, nodes.reference):
            continue
        if any(isinstance(ancestor, nodes.title) for ancestor in _ancestors(literal)):
            continue
        link = nodes.reference("", "", internal=True, refuri=app.builder.get_relative_uri(docname, target))
        literal.replace_self(link)
        link += literal


def _ancestors(node):
    while node.parent is not None:
        node = node.parent
        yield node


def lenet():
    """The net of the quickstart."""
    return netdsl.NetChain(
        [
            netdsl.ConvolutionLayer(20, 5), netdsl.Ramp, netdsl.PoolingLayer(2, 2),
            netdsl.ConvolutionLayer(50, 5), netdsl.Ramp, netdsl.PoolingLayer(2, 2),
            netdsl.FlattenLayer(), 500, netdsl.Ramp, 10, netdsl.SoftmaxLayer(),
        ],
        Input=netdsl.NetEncoder("Image", (28, 28), ColorSpace="Grayscale"),
        Output=netdsl.NetDecoder("Class", range(10)),
    )


def setup(app):
    """Draw the pictures and write the reference before the pages are read."""
    netdsl.Information(lenet(), "SummaryGraphic").save(HERE / "_static" / "lenet.svg")
    further = {"coverage.rst": coverage_page(documented()), **family_pages()}
    PAGES.update({entry.name: f"reference/{entry.page}" for entry in write_pages(HERE / "reference", further)})
    app.connect("doctree-resolved", link_names)
