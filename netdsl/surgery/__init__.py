"""Surgery: nets from nets. Every function gives a new net, solved anew; arrays that still fit are kept."""

from netdsl.surgery.chains import NetAppend, NetDrop, NetInsert, NetJoin, NetPrepend, NetTake
from netdsl.surgery.delete import NetDelete
from netdsl.surgery.extract import NetExtract
from netdsl.surgery.extract import part as part
from netdsl.surgery.flatten import NetFlatten
from netdsl.surgery.patterns import NetReplace
from netdsl.surgery.rename import NetRename
from netdsl.surgery.replace import NetReplacePart
from netdsl.surgery.shared import NetInsertSharedArrays
from netdsl.surgery.states import NetStateObject
from netdsl.surgery.unfold import NetUnfold

__all__ = [
    "NetAppend",
    "NetDelete",
    "NetDrop",
    "NetExtract",
    "NetFlatten",
    "NetInsert",
    "NetInsertSharedArrays",
    "NetJoin",
    "NetPrepend",
    "NetRename",
    "NetReplace",
    "NetReplacePart",
    "NetStateObject",
    "NetTake",
    "NetUnfold",
]
