"""TrainingProgressCheckpointing: which files there are, and what keeps them from being written."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    Automatic,
    DeclarationError,
    DropoutLayer,
    File,
    FunctionLayer,
    Infinity,
    NetChain,
    NetTrain,
    NetWarning,
    Quantity,
    Ramp,
    Rule,
    TrainingError,
)
from netdsl.formats import Export, Import
from netdsl.training import checkpoints, processes, run, settings
from netdsl.training.progress import Progress

INPUTS = np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32)
DATA = INPUTS, INPUTS.sum(1)
SERIES = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d_(\d{6})_(\d{4})_(\d+)_([^_]+)(?:_([^_]+))?\.netdsl")


def net(width: int = 4) -> Any:
    return NetChain([width, Ramp, DropoutLayer(0.5), 1])


@pytest.fixture
def trained(train: Any) -> Any:
    """Ten batches a round, checkpoints as told."""

    def run(where: Any, **options: Any) -> Any:
        return train(net(), DATA, **{"BatchSize": 4, "TrainingProgressCheckpointing": where, **options})

    return run


def bits(net: Any) -> list[bytes]:
    return [np.asarray(value).tobytes() for value in net.array_table().values()]


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def positions(folder: Path) -> list[tuple[int, int]]:
    """The rounds and batches in the names of the files, in the order of the names."""
    found = [SERIES.fullmatch(name) for name in names(folder)]
    assert [int(match[1]) for match in found if match] == list(range(len(found)))
    return [(int(match[2]), int(match[3])) for match in found if match]


class TestWhere:
    def test_a_directory_gets_a_file_for_each_round(self, trained: Any, tmp_path: Path) -> None:
        results = trained(["Directory", tmp_path], MaxTrainingRounds=3)
        assert positions(tmp_path) == [(1, 10), (2, 10), (3, 10)]
        files = results("CheckpointingFiles")
        assert files == [str(tmp_path / name) for name in names(tmp_path)]
        for rounds, file in enumerate(files, 1):
            expected = trained(None, MaxTrainingRounds=rounds)
            assert bits(Import(file)) == bits(expected("TrainedNet"))
            assert float(SERIES.fullmatch(os.path.basename(file))[4]) == pytest.approx(expected("RoundLoss"), rel=1e-3)

    def test_names_hold_the_validation_loss(self, trained: Any, tmp_path: Path) -> None:
        results = trained(["Directory", str(tmp_path)], ValidationSet=DATA)
        found = [float(SERIES.fullmatch(name)[5]) for name in names(tmp_path)]
        assert found == pytest.approx(results("ValidationLossList"), rel=1e-3)

    def test_a_file_is_overwritten(self, trained: Any, tmp_path: Path) -> None:
        path = tmp_path / "p.netdsl"
        results = trained(("File", File(str(path))), MaxTrainingRounds=3)
        assert names(tmp_path) == ["p.netdsl"]
        assert results("CheckpointingFiles") == [str(path)]
        assert bits(Import(path)) == bits(results("TrainedNet"))

    def test_folders_are_made(self, trained: Any, tmp_path: Path) -> None:
        trained(["Directory", tmp_path / "a" / "b"])
        trained(["File", tmp_path / "c" / "p.netdsl"])
        assert len(names(tmp_path / "a" / "b")) == 2
        assert names(tmp_path / "c") == ["p.netdsl"]

    @pytest.mark.parametrize("off", [None, Automatic])
    def test_none(self, trained: Any, off: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert trained(off)("CheckpointingFiles") == []
        assert names(tmp_path) == []

    def test_checkpoints_change_nothing(self, trained: Any, tmp_path: Path) -> None:
        with_, without = trained(["Directory", tmp_path, {"Interval": Quantity(3, "Batches")}]), trained(None)
        assert bits(with_("TrainedNet")) == bits(without("TrainedNet"))
        assert with_("BatchLossList").tobytes() == without("BatchLossList").tobytes()


class TestWhen:
    @pytest.mark.parametrize(
        ("interval", "expected"),
        [
            (Quantity(2, "Rounds"), [(2, 10), (3, 10)]),
            (Quantity(8, "Batches"), [(1, 8), (2, 6), (3, 4), (3, 10)]),
            (Quantity(15, "Batches"), [(2, 5), (3, 10)]),
            (Quantity(7.5, "Batches"), [(1, 8), (2, 5), (3, 3), (3, 10)]),
            (Quantity(0.5, "Rounds"), [(1, 5), (1, 10), (2, 5), (2, 10), (3, 5), (3, 10)]),
            (Quantity(1, "Hours"), [(3, 10)]),
        ],
        ids=str,
    )
    def test_intervals(self, trained: Any, tmp_path: Path, interval: Any, expected: Any) -> None:
        trained(["Directory", tmp_path, {"Interval": interval}], MaxTrainingRounds=3)
        assert positions(tmp_path) == expected, "and at the end"

    def test_seconds(self, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = [0.0]

        def now() -> float:
            clock[0] += 0.001
            return clock[0]

        monkeypatch.setattr(processes, "time", SimpleNamespace(perf_counter=now))
        monkeypatch.setattr(run, "CONSULTED_EVERY", 0.0)
        trained(["Directory", tmp_path, Rule("Interval", Quantity(0.0035, "Seconds"))], MaxTrainingRounds=2)
        assert 2 <= len(positions(tmp_path)) < 12

    def test_minimum_interval(self, trained: Any, tmp_path: Path) -> None:
        trained(["Directory", tmp_path, {"MinimumInterval": Quantity(1, "Hours")}], MaxTrainingRounds=5)
        assert positions(tmp_path) == [(1, 10), (5, 10)]

    def test_time_goal(self, trained: Any, tmp_path: Path) -> None:
        trained(["File", tmp_path / "p.netdsl", {"Interval": Quantity(9, "Hours")}], MaxTrainingRounds=Infinity, TimeGoal=0.1)
        assert names(tmp_path) == ["p.netdsl"]


class TestOrder:
    def test_the_clock_is_set_back(self, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        written = []
        for year in (2030, 2020, 2025, 2031):
            clock = SimpleNamespace(
                perf_counter=checkpoints.time.perf_counter, gmtime=lambda: None, strftime=lambda *_, y=year: f"{y}-01-01T00-00-00"
            )
            monkeypatch.setattr(checkpoints, "time", clock)
            written += trained(["Directory", tmp_path])("CheckpointingFiles")
            monkeypatch.undo()
        assert [os.path.basename(file) for file in written] == names(tmp_path)
        assert len(written) == 8

    @pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs tzset")
    def test_the_time_zone_changes(self, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Local time goes 25 hours back; what goes on takes the last file all the same."""
        place, written = tmp_path / "d", []
        try:
            for zone, resume in (("<+14>-14", False), ("<-11>+11", False), ("<-11>+11", True)):
                monkeypatch.setenv("TZ", zone)
                time.tzset()
                results = trained(["Directory", place, {"Resume": resume}], MaxTrainingRounds=3 if resume else 2)
                written += [file for file in results("CheckpointingFiles") if file not in written]
        finally:
            monkeypatch.undo()
            time.tzset()
        assert [os.path.basename(file) for file in written] == names(place)
        assert [name.split("_")[2] for name in names(place)] == ["0001", "0002", "0001", "0002", "0003"]

    def test_names_are_in_universal_time(self, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = []
        real = checkpoints.time
        monkeypatch.setattr(
            checkpoints,
            "time",
            SimpleNamespace(
                perf_counter=real.perf_counter, gmtime=lambda: seen.append(1) or real.gmtime(0), strftime=real.strftime
            ),
        )
        trained(["Directory", tmp_path])
        assert seen == [1]
        assert names(tmp_path)[0].startswith("1970-01-01T00-00-00_")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("p.netdsl", 'is ["File", path], ["Directory", path] or None. Got \'p.netdsl\'.'),
        (["Folder", "d"], "Got ['Folder', 'd']."),
        (["File"], "Got ['File']."),
        (["File", 3], "File is ['File', path]. Got 3."),
        (["Directory", ""], "Directory is ['Directory', path]. Got ''."),
        (["File", "p.wlnet"], "the file's name ends in '.netdsl'. Got 'p.wlnet'."),
        (["File", "p.netdsl", 3], "suboptions of TrainingProgressCheckpointing are a dict. Got 3."),
        (["File", "p.netdsl", {"Intervall": 3}], "no suboption 'Intervall'. Did you mean 'Interval'?"),
        (["File", "p.netdsl", {"Interval": "long"}], "or Quantity(n, \"Seconds\"), or a number of seconds, above 0. Got 'long'."),
        (["File", "p.netdsl", {"Interval": Quantity(3, "Batchs")}], "has the unit 'Batchs'. Did you mean 'Batches'?"),
        (
            ["File", "p.netdsl", {"Interval": Quantity(0, "Rounds")}],
            "or a number of seconds, above 0. Got Quantity(0, 'Rounds').",
        ),
        (
            ["File", "p.netdsl", {"Interval": Quantity(-1, "Seconds")}],
            "above 0. Got Quantity(-1, 'Seconds').",
        ),
        (["File", "p.netdsl", {"MinimumInterval": "long"}], "is a number of seconds of at least 0, or a Quantity. Got 'long'."),
        (["File", "p.netdsl", {"MinimumInterval": Quantity(1, "Rounds")}], "is a time, but Quantity(1, 'Rounds') has"),
        (["File", "p.netdsl", {"Resume": 1}], "Resume is True, False or the path of a checkpoint. Got 1."),
        (["File", "p.netdsl", {"Resume": "none.netdsl"}], "There is no checkpoint 'none.netdsl' to go on from."),
        (["File", "p.netdsl", {"Functions": [abs]}], '"Functions" is a dict from names to functions'),
    ],
    ids=str,
)
def test_wrong_settings(trained: Any, setting: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeclarationError) as raised:
        trained(setting)
    assert words in str(raised.value)
    assert names(tmp_path) == []


class TestPlaces:
    """What is wrong with the place is said before anything is trained."""

    def refused(self, trained: Any, setting: Any, words: str) -> None:
        progress = Watching()
        with pytest.raises(DeclarationError, match=words) as raised:
            trained(setting)
        assert "checkpoints cannot be written to" in str(raised.value)
        assert not progress.batches

    def test_a_file_in_place_of_the_directory(self, trained: Any, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        self.refused(trained, ["Directory", tmp_path / "file"], "exists|Not a directory")
        self.refused(trained, ["Directory", tmp_path / "file" / "d"], "Not a directory")
        assert (tmp_path / "file").read_text() == "mine"

    def test_a_directory_in_place_of_the_file(self, trained: Any, tmp_path: Path) -> None:
        (tmp_path / "p.netdsl").mkdir()
        self.refused(trained, ["File", tmp_path / "p.netdsl"], "directory")

    @pytest.mark.skipif(os.name != "posix", reason="needs users")
    def test_read_only(self, trained: Any) -> None:
        """Root may write everywhere: it is somebody else meanwhile."""
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o555)
            user = os.geteuid()
            try:
                if user == 0:
                    os.seteuid(65534)
                self.refused(trained, ["Directory", folder], "Permission denied")
                self.refused(trained, ["File", Path(folder) / "p.netdsl"], "Permission denied")
                self.refused(trained, ["Directory", Path(folder) / "d"], "Permission denied")
            finally:
                os.seteuid(user)
            assert os.listdir(folder) == []

    def test_read_only_by_name(self, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: Any, **__: Any) -> Any:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        monkeypatch.setattr(checkpoints, "open", refuse, raising=False)
        self.refused(trained, ["File", tmp_path / "p.netdsl"], "Read-only file system")

    def test_a_net_with_a_function_that_has_no_name(self, train: Any, tmp_path: Path) -> None:
        layer = FunctionLayer(lambda x: jnp.sort(x))  # no graph of layers does this
        chain, where = NetChain([layer, 1]), ["Directory", tmp_path]
        with pytest.raises(DeclarationError, match="this net cannot be stored") as raised:
            train(chain, DATA, TrainingProgressCheckpointing=where)
        assert '"Functions"' in str(raised.value)
        results = train(chain, DATA, TrainingProgressCheckpointing=[*where, {"Functions": {"sort": layer.Function}}])
        read = Import(results("CheckpointingFiles")[-1], Functions={"sort": layer.Function})
        assert bits(read) == bits(results("TrainedNet"))


class Watching(Progress):
    """Does something after the first chunk of a round."""

    def __init__(self, at: int = 0, then: Any = None) -> None:
        self.at, self.then, self.batches = at, then, 0

    def update(self, status: Any) -> None:
        self.batches += status.batch
        if status.round == self.at and status.batch and self.then:
            then, self.then = self.then, None
            then()


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Any:
    def watch(at: int, then: Any) -> None:
        monkeypatch.setattr(settings, "progress", lambda setting: Watching(at, then))

    return watch


class TestTwoTrainings:
    @pytest.mark.parametrize("kind", ["Directory", "File"])
    def test_the_second_is_refused(self, trained: Any, kind: str, tmp_path: Path, watching: Any) -> None:
        where, errors = [kind, tmp_path / "there.netdsl"], []

        def second() -> None:
            with pytest.raises(TrainingError, match=r"Another training is writing its checkpoints to .*there") as raised:
                NetTrain(net(), DATA, MaxTrainingRounds=1, TrainingProgressReporting=None, TrainingProgressCheckpointing=where)
            errors.append(raised)

        watching(2, lambda: (settings.__dict__.update(progress=lambda setting: Progress()), second()))
        assert len(trained(where, MaxTrainingRounds=3)("CheckpointingFiles")) == (3 if kind == "Directory" else 1)
        assert len(errors) == 1
        trained(where)  # it is free again

    def test_two_files_in_one_folder(self, trained: Any, tmp_path: Path, watching: Any) -> None:
        watching(
            1, lambda: (settings.__dict__.update(progress=lambda setting: Progress()), trained(["File", tmp_path / "b.netdsl"]))
        )
        trained(["File", tmp_path / "a.netdsl"])
        assert names(tmp_path) == ["a.netdsl", "b.netdsl"]

    def test_threads_of_one_file(self, tmp_path: Path) -> None:
        path, outcomes = tmp_path / "p.netdsl", []

        def one(seed: int) -> None:
            try:
                outcomes.append(
                    NetTrain(
                        net(),
                        DATA,
                        BatchSize=4,
                        MaxTrainingRounds=40,
                        RandomSeeding=seed,
                        TrainingProgressReporting=None,
                        TrainingProgressCheckpointing=["File", path, {"Interval": Quantity(1, "Batches")}],
                    )
                )
            except TrainingError as error:
                outcomes.append(error)

        threads = [threading.Thread(target=one, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        nets = [outcome for outcome in outcomes if not isinstance(outcome, TrainingError)]
        assert nets
        assert bits(Import(path)) in [bits(net) for net in nets]
        assert names(tmp_path) == ["p.netdsl"]


SMALL_DISK = """
import csv, json, os, sys, warnings
import numpy as np
from netdsl import *

place = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else ".")
os.chdir(place)  # the disk, and not the folder that it covers
inputs = np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32)
wide, data, where = NetChain([1000, Ramp, 1]), Rule(inputs, inputs.sum(1)), ["File", "p.netdsl"]
options = dict(TrainingProgressReporting=None, TrainingProgressCheckpointing=where)
NetTrain(wide, data, MaxTrainingRounds=1, **options)
old = open("p.netdsl", "rb").read()
free = os.statvfs(".")
with open("other", "wb") as file:
    file.write(b"x" * ((free.f_bavail - 3) * free.f_bsize))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    report = [File("report.csv"), {"Interval": Quantity(1, "Batches")}]
    net = NetTrain(wide, data, MaxTrainingRounds=400, **{**options, "TrainingProgressReporting": report})
try:
    Export("p.netdsl", net)
except OSError as error:
    exported, code = str(error), error.errno
rows = list(csv.DictReader(open("report.csv")))
print(json.dumps([[str(warning.message) for warning in caught], exported, code, sorted(os.listdir(".")),
    open("p.netdsl", "rb").read() == old and None not in rows[-1].values(), len(rows)]))
"""


class TestFullDisk:
    def told(self, trained: Any, path: Path, **options: Any) -> Any:
        """The training goes on, and a warning names the file, the bytes and the line of the caller."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            results = trained(["File", path], **options)
        texts = [str(warning.message) for warning in caught if warning.category is NetWarning]
        assert texts
        for text in texts:
            assert str(path) in text
            assert re.search(r"\([\d,]+ bytes are needed\)", text)
            assert text.endswith("The training goes on without this checkpoint.")
        assert {warning.filename for warning in caught} == {str(Path(__file__).with_name("conftest.py"))}
        assert bits(results("TrainedNet")) == bits(trained(None, **options)("TrainedNet"))
        return results

    @pytest.mark.parametrize("step", ["fsync", "replace"])
    def test_no_space(self, trained: Any, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "p.netdsl"
        trained(["File", path], MaxTrainingRounds=1)
        before = path.read_bytes()

        def full(*_: Any) -> Any:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(f"netdsl.formats.writing.os.{step}", full)
        results = self.told(trained, path, MaxTrainingRounds=3)
        assert results("CheckpointingFiles") == []
        assert path.read_bytes() == before
        assert names(tmp_path) == ["p.netdsl"]

    def test_space_again(self, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that could not be written is made up for."""
        real, failed = os.fsync, []

        def full(descriptor: int) -> None:
            if len(failed) < 2:
                failed.append(1)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(descriptor)

        monkeypatch.setattr("netdsl.formats.writing.os.fsync", full)
        results = self.told(trained, tmp_path / "p.netdsl", MaxTrainingRounds=3)
        assert len(failed) == 2
        assert bits(Import(tmp_path / "p.netdsl")) == bits(results("TrainedNet"))

    def test_files_may_not_grow(self, trained: Any, tmp_path: Path) -> None:
        resource = pytest.importorskip("resource")
        path = tmp_path / "p.netdsl"
        Export(path, NetTrain(net(), DATA, MaxTrainingRounds=1, TrainingProgressReporting=None))
        old = path.read_bytes()
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
            self.told(trained, path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)
        assert path.read_bytes() == old
        assert names(tmp_path) == ["p.netdsl"]

    def test_a_small_disk(self, tmp_path: Path) -> None:
        """A real one, where it can be mounted: checkpoints, reports and Export say what they lack, and leave what is there."""
        mount = 'mount -t tmpfs -o size=160k tmpfs "$0" && exec "$@"'
        command = ["unshare", "-rm", "sh", "-c", mount, tmp_path]
        if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True).returncode:
            pytest.skip("a small disk cannot be mounted")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NETDSL_CACHE_DIR": "off"}
        done = subprocess.run(
            [*command, sys.executable, "-c", SMALL_DISK],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert not done.returncode, done.stderr
        warned, exported, code, files, whole, rows = json.loads(done.stdout.splitlines()[-1])
        needed = r"cannot write '[^']*p.netdsl' \([\d,]+ bytes are needed\): No space left on device"
        assert warned
        assert all(re.search(needed, text) for text in warned)
        assert re.search(needed, exported)
        assert code == errno.ENOSPC
        assert files == ["other", "p.netdsl", "report.csv"]
        assert whole
        assert 0 < rows < 400
        assert "its progress could not be shown to the end" in done.stderr
        assert "report.csv': No space left on device" in done.stderr

    def test_the_directory_goes_away(self, trained: Any, tmp_path: Path, watching: Any) -> None:
        place = tmp_path / "d"

        def remove() -> None:
            while place.exists():  # a checkpoint may just be written into it
                shutil.rmtree(place, ignore_errors=True)

        watching(2, remove)
        with pytest.warns(NetWarning, match="No such file or directory.* The training goes on"):
            results = trained(["Directory", place], MaxTrainingRounds=4)
        assert results("TotalRounds") == 4


class TestErrors:
    def test_an_error_of_the_users_leaves_a_checkpoint(
        self, trained: Any, tmp_path: Path, watching: Any, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(run, "CONSULTED_EVERY", 0.0)

        def fail() -> None:
            raise ZeroDivisionError("mine")

        watching(2, fail)
        with pytest.raises(ZeroDivisionError, match="mine"):
            trained(["Directory", tmp_path], MaxTrainingRounds=5)
        first, last = positions(tmp_path)
        assert first == (1, 10)
        assert last[0] == 2
        assert 0 < last[1] < 10

    def test_an_error_before_the_first_batch(self, train: Any, tmp_path: Path) -> None:
        import optax

        def update(*_: Any) -> Any:
            raise ZeroDivisionError("mine")

        method = optax.GradientTransformation(lambda arrays: (), update)
        with pytest.raises(ZeroDivisionError, match="mine"):
            train(net(), DATA, Method=method, BatchSize=4, TrainingProgressCheckpointing=["Directory", tmp_path])
        assert positions(tmp_path) == [(1, 0)]

    def test_numbers_that_are_not_finite_are_not_kept(self, trained: Any, tmp_path: Path) -> None:
        with pytest.raises(TrainingError, match="smaller"):
            trained(
                ["Directory", tmp_path, {"Interval": Quantity(1, "Batches")}],
                Method="SGD",
                LearningRate=1e15,
                MaxTrainingRounds=50,
            )
        for name in names(tmp_path):
            assert all(np.isfinite(np.asarray(value)).all() for value in Import(tmp_path / name).arrays.values())

    def test_nor_is_a_loss_that_is_not_finite_where_the_arrays_are(self, train: Any, tmp_path: Path) -> None:
        with pytest.raises(TrainingError, match="The loss of batch 1 of round 1 is inf"):
            train(
                net(),
                (INPUTS, np.full(40, 1e25)),
                Method="SGD",
                LearningRate=1e-30,
                TrainingProgressCheckpointing=["Directory", tmp_path],
            )
        assert names(tmp_path) == []
