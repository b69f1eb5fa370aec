"""PyTorch eager: the loop of its tutorials, over float tensors made in advance; on the GPU where there is one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from workloads import ADAM, BLOCKS, CLASSES, FEATURES, UNITS, Architecture, Examples, Workload

from peers import Evaluate, Train

__all__ = ["evaluation", "single", "training"]

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

if DEVICE.type == "cuda":
    # as JAX does, let a GPU use TensorFloat-32 for products of float32
    torch.set_float32_matmul_precision("high")

NAMES = {"weights": "weight", "biases": "bias", "scale": "weight"}
LSTM_NAMES = {"inputs": "weight_ih_l0", "states": "weight_hh_l0", "biases": "bias_ih_l0"}

Prepare = Callable[[nn.Module], nn.Module]


def lenet() -> nn.Module:
    """The net of the article."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 20, 5),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(20, 50, 5),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            dense1=nn.Linear(800, 500),
            relu3=nn.ReLU(),
            dense2=nn.Linear(500, CLASSES),
        )
    )


def mlp() -> nn.Module:
    """Three linear layers."""
    return nn.Sequential(
        OrderedDict(
            dense1=nn.Linear(784, 512),
            relu1=nn.ReLU(),
            dense2=nn.Linear(512, 512),
            relu2=nn.ReLU(),
            dense3=nn.Linear(512, CLASSES),
        )
    )


def normalization(channels: int) -> nn.Module:
    """Batch normalization with netdsl's defaults; momentum is the share of the new here."""
    return nn.BatchNorm2d(channels, eps=0.001, momentum=0.1)


class Block(nn.Module):
    """A residual block."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, padding=1, bias=False)
        self.norm1 = normalization(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = normalization(channels)
        self.projects = stride == 2
        if self.projects:
            self.skip = nn.Conv2d(before, channels, 1, stride, bias=False)
            self.skip_norm = normalization(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return torch.relu(y + (self.skip_norm(self.skip(x)) if self.projects else x))


def resnet() -> nn.Module:
    """ResNet-20 for pictures of 32 by 32."""
    blocks = {name: Block(before, channels, stride) for name, before, channels, stride in BLOCKS}
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 16, 3, padding=1, bias=False),
            norm=normalization(16),
            relu=nn.ReLU(),
            **blocks,
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            dense=nn.Linear(64, CLASSES),
        )
    )


class LastOfLSTM(nn.Module):
    """The last output of an LSTM, classified."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(FEATURES, UNITS, batch_first=True)
        self.dense = nn.Linear(UNITS, CLASSES)
        # of its two biases one is enough: trained both, their sum would move twice as fast
        nn.init.zeros_(self.lstm.bias_hh_l0)
        self.lstm.bias_hh_l0.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.lstm(x)[0][:, -1])


MODELS = {"lenet": lenet, "mlp": mlp, "resnet": resnet, "lstm": LastOfLSTM}


def model_of(architecture: Architecture) -> nn.Module:
    """The model with the initial arrays."""
    model = MODELS[architecture.name]()
    with torch.no_grad():
        for layer, arrays in architecture.arrays().items():
            names = LSTM_NAMES if layer == "lstm" else NAMES
            for kind, value in arrays.items():
                getattr(model.get_submodule(layer), names[kind]).copy_(torch.from_numpy(value))
    return model.to(DEVICE)


def inputs_of(architecture: Architecture, inputs: np.ndarray) -> Tensor:
    """Inputs as a float tensor, pictures scaled to 0…1."""
    tensor = torch.tensor(inputs, device=DEVICE)
    return tensor[:, None].float() / 255 if architecture.pictures else tensor


def training(workload: Workload, data: Examples, order: np.ndarray, prepare: Prepare = lambda model: model) -> Train:
    """The usual loop; losses are read once, at its end."""
    inputs = inputs_of(workload.architecture, data.inputs)
    labels = torch.tensor(data.labels, device=DEVICE)
    rows = torch.tensor(order, dtype=torch.int64, device=DEVICE)
    model = prepare(model_of(workload.architecture)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=ADAM["learning_rate"], betas=(ADAM["b1"], ADAM["b2"]), eps=ADAM["eps"])
    criterion = nn.CrossEntropyLoss()

    def train(batches: int) -> float:
        losses = []
        for chosen in rows[: batches * workload.batch].split(workload.batch):
            optimizer.zero_grad()
            loss = criterion(model(inputs[chosen]), labels[chosen])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).mean().item()

    return train


def evaluation(architecture: Architecture, inputs: np.ndarray, batch: int, prepare: Prepare = lambda model: model) -> Evaluate:
    """All inputs, batch by batch."""
    tensor = inputs_of(architecture, inputs)
    model = prepare(model_of(architecture)).eval()

    def evaluate() -> np.ndarray:
        with torch.inference_mode():
            return torch.cat([torch.softmax(model(part), dim=-1) for part in tensor.split(batch)]).cpu().numpy()

    return evaluate


def single(architecture: Architecture, thing: np.ndarray, prepare: Prepare = lambda model: model) -> Evaluate:
    """One input, from its array to its probabilities."""
    model = prepare(model_of(architecture)).eval()

    def evaluate() -> np.ndarray:
        with torch.inference_mode():
            return torch.softmax(model(inputs_of(architecture, thing[None])), dim=-1)[0].cpu().numpy()

    return evaluate
