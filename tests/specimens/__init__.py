"""One row for each public layer, container, operator, encoder and decoder: what the laws run over."""

from specimens.attention import ATTENTION
from specimens.coders import CODERS
from specimens.containers import CONTAINERS
from specimens.convolutions import CONVOLUTIONS
from specimens.custom import CUSTOM, PLACEHOLDERS
from specimens.elementary import ELEMENTARY
from specimens.losses import LOSSES
from specimens.sequences import SEQUENCES
from specimens.specimen import Coder, Specimen, initialized, inputs, lengths, things, with_random_arrays

__all__ = [
    "CODERS",
    "PLACEHOLDERS",
    "SPECIMENS",
    "Coder",
    "Specimen",
    "initialized",
    "inputs",
    "lengths",
    "things",
    "with_random_arrays",
]

SPECIMENS: tuple[Specimen, ...] = (*ELEMENTARY, *CONVOLUTIONS, *SEQUENCES, *ATTENTION, *LOSSES, *CONTAINERS, *CUSTOM)
