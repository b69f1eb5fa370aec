"""What a net needs to be compared with data: encoders, decoders and losses attached, targets wired, columns encoded."""

from netdsl.attachment.data import column_names, encoded, of_example, padded, typed
from netdsl.attachment.losses import LossTerm, TrainingNet, training_net

__all__ = ["LossTerm", "TrainingNet", "column_names", "encoded", "of_example", "padded", "training_net", "typed"]
