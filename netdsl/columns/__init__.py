"""Data as columns: what nets are trained on and measured with."""

from netdsl.columns.column import *  # noqa: F403
from netdsl.columns.table import Table, table  # noqa: F401
