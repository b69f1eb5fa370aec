"""NetModel: the shipped nets, their sums, properties and wrong names."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from netdsl import Information, NetDecoder, NetInitialize, NetModel
from netdsl.errors import PartError, ResourceError, UnsupportedError
from netdsl.resources import models

NAME = "LeNet Trained on MNIST Data"


@pytest.mark.parametrize("name", NetModel())
def test_every_model_is_the_articles_net(name: str) -> None:
    net = NetModel(name)
    assert net.initialized
    assert Information(net, "ArraysTotalElementCount") == 431080
    assert NetModel(name, "ByteCount") == 4 * 431080
    assert net(np.zeros((28, 28), np.uint8)) in net.decoder("Output").Labels
    assert 0.9 < NetModel(name, "TestAccuracy") < 1


def test_uninitialized_net_has_the_same_declarations() -> None:
    bare = NetModel(NAME, "UninitializedEvaluationNet")
    assert not bare.initialized
    assert len(bare.missing) == 8
    assert bare.encoder("Input") == NetModel(NAME).encoder("Input")
    assert NetInitialize(bare).initialized


def test_ports_are_overridden() -> None:
    net = NetModel(NAME, Output=NetDecoder("Class", list("abcdefghij")))
    assert net(np.zeros((28, 28), np.uint8)) in "abcdefghij"
    assert NetModel(NAME, Output=None).decoder("Output") is None


def test_wrong_names() -> None:
    with pytest.raises(ResourceError, match="Did you mean 'LeNet Trained on MNIST Data'"):
        NetModel("LeNet Trained on MNIST")
    with pytest.raises(PartError, match="Did you mean 'ByteCount'"):
        NetModel(NAME, "BytesCount")
    with pytest.raises(UnsupportedError, match="ConstructionNotebook"):
        NetModel(NAME, "ConstructionNotebook")
    assert {"EvaluationNet", "TaskType"} <= set(NetModel(NAME, "Properties"))


def test_a_damaged_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.MODELS[NAME]
    (tmp_path / "nets").mkdir()
    shutil.copy(Path(models.__file__).parent / "nets" / model.file, tmp_path / "nets" / model.file)
    data = bytearray((tmp_path / "nets" / model.file).read_bytes())
    data[1_000_000] ^= 1
    (tmp_path / "nets" / model.file).write_bytes(data)
    monkeypatch.setattr(models, "files", lambda package: tmp_path)
    models._net.cache_clear()
    with pytest.raises(ResourceError, match="is damaged"):
        NetModel(NAME)
    models._net.cache_clear()


def test_accuracy_on_real_pictures() -> None:
    """The first test digits of MNIST, where they are at hand."""
    from netdsl import Keys, ResourceData, Take, Values

    try:
        data = Take(ResourceData("MNIST", "TestData"), 500)
    except ResourceError:
        pytest.skip("MNIST cannot be had here")
    right = np.mean(np.array(NetModel(NAME)(Keys(data))) == np.asarray(Values(data)))
    assert right > 0.985
