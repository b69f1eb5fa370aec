"""Data as columns: what nets are trained on and measured with."""

from netdsl.columns.column import *
from netdsl.columns.files import StoredColumn
from netdsl.columns.table import Rows, Table, gives_batches, is_folder, table
