"""netdsl: Mathematica's neural-net language in Python, at JAX speed."""

from netdsl.containers import *
from netdsl.containers import __all__ as _containers
from netdsl.decoders import NetDecoder
from netdsl.encoders import NetEncoder
from netdsl.errors import *
from netdsl.errors import __all__ as _errors
from netdsl.functions import *
from netdsl.functions import FUNCTIONS as _functions
from netdsl.initialization import NetInitialize
from netdsl.layers import *
from netdsl.layers import __all__ as _layers
from netdsl.nets import NetArray
from netdsl.symbols import *
from netdsl.symbols import __all__ as _symbols

__version__ = "0.1.0"
