"""File formats, one file each; `Export` and `Import` choose by the file's name."""

from netdsl.formats.files import Export, Import

__all__ = ["Export", "Import"]
