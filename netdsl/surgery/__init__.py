"""Surgery: nets from nets. Every function gives a new net, solved anew; arrays that still fit are kept."""

from netdsl.surgery.chains import NetAppend, NetDrop, NetInsert, NetJoin, NetPrepend, NetTake
from netdsl.surgery.extract import NetExtract, part
from netdsl.surgery.replace import NetReplacePart

__all__ = ["NetAppend", "NetDrop", "NetExtract", "NetInsert", "NetJoin", "NetPrepend", "NetReplacePart", "NetTake", "part"]
