"""Panels as HTML."""

from netdsl.display.plain import text as _text

__all__ = ["html"]

import html as _html


def html(net):  # placeholder
    return f"<pre>{_html.escape(_text(net))}</pre>"
