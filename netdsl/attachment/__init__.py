"""What a net needs to be compared with data: encoders, decoders and losses attached, targets wired, columns encoded."""

from netdsl.attachment.data import encoded, named, padded, typed
from netdsl.attachment.losses import LossTerm, TrainingNet, training_net

__all__ = ["LossTerm", "TrainingNet", "encoded", "named", "padded", "training_net", "typed"]
