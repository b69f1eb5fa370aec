"""What a training shows and tells while it runs: panels, lines, files, and functions of the user's."""

from netdsl.training.progress.functions import Functions, progress_functions
from netdsl.training.progress.settings import progress
from netdsl.training.progress.status import Progress, Status, duration_text

__all__ = [
    "Functions",
    "Progress",
    "Status",
    "duration_text",
    "progress",
    "progress_functions",
]
