"""Kills, full disks and broken downloads while modelzoo works: what it writes is complete or absent, nothing is lost.

`scripts/faults.py` repeats these tests with other seeds and counts. Each job runs in a fork of a process that has
imported TensorFlow, where it may be killed or run out of room.
"""

import contextlib
import glob
import gzip
import hashlib
import http.server
import itertools
import multiprocessing
import os
import random
import resource
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import modelzoo
from modelzoo import datasets, viz
from modelzoo.datasets import mnist
from modelzoo.errors import DataError, TargetError
from modelzoo.saving import save_keras, save_litert, save_onnx
from modelzoo.training.checkpoints import Checkpoints

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("MODELZOO_FAULTS_SEED", "0"))
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["keras", "tensorflow"])


@pytest.fixture
def rng(request):
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture
def report(record_property):
    """Return a function that tells `scripts/faults.py` the fault that was tried, or what was found after it."""
    return lambda **texts: [record_property(key, text) for key, text in texts.items()]


def start(job, *arguments):
    """Start ``job(tell, *arguments)`` in a process; return it and an iterator over what it tells."""
    ours, theirs = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=run_job, args=(job, theirs, *arguments), daemon=True)
    process.start()
    theirs.close()

    def messages():
        with ours, contextlib.suppress(EOFError):
            while ours.poll(240):
                yield ours.recv()
        process.join()

    return process, messages()


def run_job(job, connection, *arguments):
    job(connection.send, *arguments)


def contents(directory):
    """Return the SHA-256 of each file of a directory tree, and every other entry, hidden ones too."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "/"
        for path in sorted(directory.rglob("*"))
    }


# --- SIGKILL while a network trains, writes a checkpoint and is saved; then the same run is resumed

NETWORKS = {
    "sigmoid_mlp": ({}, {"steps": 10_000, "optimizer": "sgd", "learning_rate": 0.01, "log_every": 250}),
    "dense_500_300": ({}, {"steps": 120, "batch_size": 100, "optimizer": "rmsprop", "log_every": 10}),
    "two_conv_cnn": (
        {"filters": (4, 8), "hidden_units": 32},
        {"steps": 60, "batch_size": 50, "learning_rate": 1e-3, "log_every": 6},
    ),
}


def build(name, seed):
    return modelzoo.create_model(name, seed=seed, **NETWORKS[name][0])


def train_and_save(tell, name, checkpoints, target):
    """Train with checkpoints and save; tell of each phase that begins, and at the end weights and history."""
    save = Checkpoints.save

    def telling(self, step, *arguments, **options):
        tell(("checkpoint", time.perf_counter(), step))
        save(self, step, *arguments, **options)
        tell(("training", time.perf_counter(), step))

    Checkpoints.save = telling
    model = build(name, seed=0)
    data = datasets.load("quadratic") if name == "sigmoid_mlp" else datasets.load("mnist").take(per_class=60).train
    tell(("training", time.perf_counter(), 0))
    recipe = modelzoo.Recipe(**NETWORKS[name][1])
    history = modelzoo.train(model, data, recipe, seed=3, checkpoint_dir=checkpoints, resume=True).history
    tell(("export", time.perf_counter(), recipe.steps))
    modelzoo.save(model, target, overwrite=True)
    tell(("end", time.perf_counter(), (modelzoo.weights_digest(model), history)))


class Run:
    """A network's run: undisturbed once, then killed and resumed."""

    def __init__(self, name, directory):
        self.name, self.earlier = name, directory / "earlier"
        modelzoo.save(build(name, seed=1), self.earlier)
        _, messages = start(train_and_save, name, directory / "checkpoints", directory / "new")
        marks = list(messages)
        self.expected = marks[-1][2]
        self.windows = [(a[0], i, b[1] - a[1]) for i, (a, b) in enumerate(itertools.pairwise(marks))]
        self._known = {
            self._digest(self.earlier): "earlier artifact intact",
            self.expected[0]: "new artifact complete",
        }
        assert len(self._known) == 2

    def _digest(self, path):
        return modelzoo.weights_digest(modelzoo.load(path))

    def state(self, target):
        return self._known[self._digest(target)] if target.exists() else "no artifact yet"

    def kill(self, place, phase, rng):
        """Start the run, kill it in a phase, and return the phase it was in and the step of its last checkpoint."""
        _, number, seconds = rng.choice([window for window in self.windows if window[0] == phase])
        process, messages = start(train_and_save, self.name, place / "checkpoints", place / "models" / "1")
        landed, published = "", 0
        for seen, (landed, _, detail) in enumerate(messages):
            if landed == "training":
                published = detail
            if seen == number:
                time.sleep(rng.uniform(0, seconds))
                process.kill()
        return landed, published

    def check_resumed(self, place, published):
        """Check that no checkpoint is lost, and that the resumed run ends as the undisturbed one."""
        latest = Checkpoints(place / "checkpoints", {}).latest()
        assert (latest.step if latest else 0) >= published
        _, messages = start(train_and_save, self.name, place / "checkpoints", place / "models" / "1")
        assert list(messages)[-1][2] == self.expected
        assert self.state(place / "models" / "1") == "new artifact complete"
        assert [path.name for path in place.glob("*/.*") if path.name != ".lock"] == []


@pytest.fixture(scope="module", params=NETWORKS)
def run(request, tmp_path_factory):
    return Run(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("phase", ["training", "checkpoint", "export"])
def test_kill_and_resume(phase, run, tmp_path, rng, report):
    replaces = rng.random() < 0.5
    if replaces:
        shutil.copytree(run.earlier, tmp_path / "models" / "1")
    landed, published = run.kill(tmp_path, phase, rng)
    report(fault=f"`{run.name}` killed in {'the export' if landed in ('export', 'end') else landed}")
    state = run.state(tmp_path / "models" / "1")
    assert state in {
        "earlier artifact intact" if replaces else "no artifact yet",
        *(["new artifact complete"] if landed in ("export", "end") else []),
    }
    run.check_resumed(tmp_path, published)
    report(found=state)


# --- full and read-only disks, limits on files, and directories that vanish, while modelzoo writes


def write_checkpoints(model, target, version):
    """Train into a directory; version 0 is a run of half as many steps."""
    steps = 500 if version == 0 else 1000
    recipe = modelzoo.Recipe(steps=steps, optimizer="adam", learning_rate=0.01, log_every=100, xla="off")
    modelzoo.train(model, datasets.load("quadratic"), recipe, seed=3, checkpoint_dir=target, resume=True)


#: The file or directory that is written, and how: from a model, a target, and the version 0 or 1.
KINDS = {
    "checkpoint": ("checkpoints", write_checkpoints),
    "save": ("saved", lambda model, target, version: modelzoo.save(model, target, overwrite=True)),
    "save_keras": ("model.keras", lambda model, target, version: save_keras(model, target, overwrite=True)),
    "save_onnx": ("model.onnx", lambda model, target, version: save_onnx(model, target, overwrite=True)),
    "save_litert": ("model.tflite", lambda model, target, version: save_litert(model, target, overwrite=True)),
    "describe": ("page", lambda model, target, version: modelzoo.describe(model.name, target, overwrite=True)),
    "save_figure": (
        "figure.png",
        lambda model, target, version: viz.save_figure(viz.plot_architecture(model), target, overwrite=True),
    ),
}
FAULTS = {
    "limit": "files may only have so many bytes",
    "full": "the disk is full",
    "read-only": "the disk is read-only",
    "removed": "the directory is removed meanwhile",
}
BLOCK = 4096


def write(tell, kind, target, version, file_limit=None):
    """Write one kind of file; tell the error or None, and whether the model was changed."""
    if file_limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error instead of a signal, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, resource.RLIM_INFINITY))
    same_model = kind in ("checkpoint", "describe")  # another model would be another run, or another file
    model = modelzoo.create_model("sigmoid_mlp" if version == 0 or same_model else "tanh_mlp", seed=0)
    before = modelzoo.weights_digest(model)
    error = None
    try:
        KINDS[kind][1](model, target, version)
    except TargetError as caught:
        error = str(caught)
    tell((error, modelzoo.weights_digest(model) != before and kind != "checkpoint", modelzoo.weights_digest(model)))


class Written:
    """One kind as it is when nothing fails: the earlier version, the new one's weights and sizes."""

    def __init__(self, kind, directory):
        self.kind, self.name, self.earlier = kind, KINDS[kind][0], directory / "earlier"
        self.earlier.mkdir()
        self.write(self.earlier, version=0)
        new = directory / "new"
        shutil.copytree(self.earlier, new)
        error, _, self.digest = self.write(new)
        assert error is None
        sizes = [path.stat().st_size for path in new.rglob("*") if path.is_file()]
        if kind == "checkpoint":  # of several in turn, the first that does not fit ends the run
            sizes = [min(size for size in sizes if size)]
        self.largest, self.blocks = max(sizes), sum(-(-size // BLOCK) for size in sizes)

    def start(self, directory, version=1, file_limit=None):
        return start(write, self.kind, directory / self.name, version, file_limit)

    def write(self, directory, **options):
        (answer,) = self.start(directory, **options)[1]  # no answer if the process ended with another error
        return answer


@pytest.fixture(scope="module", params=KINDS)
def whole(request, tmp_path_factory):
    return Written(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def disk(request, tmp_path):
    """Return a directory, in a small file system of its own in memory where that is to run full or become read-only."""
    directory = tmp_path / "disk"
    directory.mkdir()
    if "full" not in request.node.name and "read-only" not in request.node.name:
        yield directory
        return
    try:
        run_command("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", directory)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small file system needs root")
    yield directory
    run_command("umount", "--lazy", directory)


def run_command(*command):
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("fault", ["full", "read-only", "limit"])
def test_disk(fault, whole, disk, rng, report):
    report(fault=f"{FAULTS[fault]}: {whole.kind}")
    shutil.copytree(whole.earlier, disk, dirs_exist_ok=True)
    before, options = contents(disk), {}
    if fault == "full":
        room = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - rng.randrange(whole.blocks) * BLOCK
        (disk / "filler").write_bytes(bytes(room))
    elif fault == "read-only":
        run_command("mount", "-o", "remount,ro", disk)
    else:
        options["file_limit"] = rng.randrange(whole.largest)
    error, changed, _ = whole.write(disk, **options)
    if fault == "read-only":
        run_command("mount", "-o", "remount,rw", disk)
    (disk / "filler").unlink(missing_ok=True)
    assert error is not None
    assert "\n" not in error
    assert not changed
    assert contents(disk) == before
    assert whole.write(disk) == (None, False, whole.digest)
    report(found="one line says so, all as it was")


def test_disk_whose_directory_vanishes(whole, disk, rng, report):
    report(fault=f"{FAULTS['removed']}: {whole.kind}")
    shutil.copytree(whole.earlier, disk, dirs_exist_ok=True)
    process, messages = whole.start(disk)
    watched = disk / whole.name if whole.kind == "checkpoint" else disk
    while process.is_alive() and not glob.glob(f"{watched}/.*.tmp/*"):  # pathlib raises if one is deleted meanwhile
        pass
    time.sleep(rng.choice((0, rng.uniform(0, 0.01))))
    shutil.rmtree(disk, ignore_errors=True)
    ((error, changed, _),) = messages
    assert error is None or "\n" not in error
    assert not changed
    disk.mkdir(exist_ok=True)
    assert not [name for name in contents(disk) if name.endswith(".tmp")]
    assert whole.write(disk) == (None, False, whole.digest)
    report(found="written before, or again" if error is None else "one line says so")


# --- downloads that break, from a server on this machine, whose files stand in for Fashion-MNIST

DOWNLOADS = {
    "wrong": "the server sends other bytes",
    "truncated": "the body is shorter than its Content-Length",
    "dropped": "the connection is reset midway",
    "refused": "the connection is refused",
    "404": "the server answers 404",
    "500": "the server answers 500",
}
SHAPES = {
    "train-images-idx3-ubyte.gz": (900, 28, 28),
    "train-labels-idx1-ubyte.gz": (900,),
    "t10k-images-idx3-ubyte.gz": (150, 28, 28),
    "t10k-labels-idx1-ubyte.gz": (150,),
}


class Server(http.server.ThreadingHTTPServer):
    """Serves four IDX files of random images, and one of them with a fault."""

    daemon_threads = True

    def __init__(self, rng):
        super().__init__(("127.0.0.1", 0), Handler)
        self.fault, self.victim, self.part = "", rng.choice(list(SHAPES)), rng.random()
        self.files, self.pins = {}, {}
        for name, shape in SHAPES.items():
            array = np.frombuffer(rng.randbytes(int(np.prod(shape))), np.uint8) % 10
            content = struct.pack(f">I{len(shape)}I", 0x0800 + len(shape), *shape) + array.tobytes()
            self.files[name] = gzip.compress(content, mtime=0)
            self.pins[name] = hashlib.sha256(content).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        return

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        content, fault = self.server.files[name], self.server.fault if name == self.server.victim else ""
        if fault in ("404", "500"):
            self.send_error(int(fault))
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut = int(self.server.part * len(content))
        if fault == "wrong":
            content = content[:cut] + bytes([content[cut] ^ 1]) + content[cut + 1 :]
        elif fault in ("truncated", "dropped"):
            content = content[:cut]
        with contextlib.suppress(OSError):  # a killed process does not listen any more
            for i in range(0, len(content), 1 << 14):
                self.wfile.write(content[i : i + (1 << 14)])
                time.sleep(0.002 if self.server.fault == "killed" else 0)
            if fault == "dropped":  # RST in place of FIN
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()


@pytest.fixture
def server(rng, tmp_path, monkeypatch):
    with Server(rng) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        point_at(monkeypatch.setattr, running.server_port, running.pins, tmp_path)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running
        running.shutdown()


def point_at(setattr_, port, pins, cache):
    """Let Fashion-MNIST come from our server into a cache of ours."""
    import pooch

    setattr_(mnist, "_FASHION_URL", f"http://127.0.0.1:{port}/")
    setattr_(mnist, "_FASHION_MIRROR", f"http://127.0.0.1:{port}/mirror/")
    setattr_(mnist, "_FASHION_FILES", pins)
    setattr_(mnist, "_FASHION_SYSTEM_FOLDER", cache / "none")
    setattr_(pooch, "os_cache", lambda project: cache)
    pooch.get_logger().setLevel("ERROR")


def download(tell=lambda checksum: None, *server):
    if server:
        point_at(setattr, *server)
    tell(datasets.load("fashion_mnist", download=True).checksum)


def check_good_download(server, cache):
    """Check that the cache holds nothing unverified, and that a download completes it."""
    for name, digest in contents(cache).items():
        assert name == "fashion-mnist" or digest == hashlib.sha256(server.files[Path(name).name]).hexdigest()
    server.fault = ""
    point_at(setattr, server.server_port, server.pins, cache)
    download()
    assert {name.rpartition("/")[2] for name in contents(cache)} == {"fashion-mnist", *SHAPES}


@pytest.mark.parametrize("fault", DOWNLOADS)
def test_download(fault, server, tmp_path, monkeypatch, report):
    report(fault=DOWNLOADS[fault])
    server.fault = fault
    if fault == "refused":
        with socket.socket() as unused:  # bound a moment and closed again: nobody listens there
            unused.bind(("127.0.0.1", 0))
            point_at(monkeypatch.setattr, unused.getsockname()[1], server.pins, tmp_path)
    with pytest.raises(DataError, match=r"^Cannot download .* pass folder=") as caught:
        download()
    assert "\n" not in str(caught.value)
    check_good_download(server, tmp_path)
    report(found="one line says so and names the next step; nothing unverified in the cache")


def test_kill_during_the_download(server, tmp_path, rng, report):
    report(fault="SIGKILL during the download")
    server.fault = "killed"
    process, messages = start(download, server.server_port, server.pins, tmp_path)
    while process.is_alive() and not list(tmp_path.glob("*/.*.tmp")):
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.1))
    process.kill()
    ended = list(messages)
    for left in tmp_path.glob("*/.*.tmp"):  # the next download deletes it
        shutil.rmtree(left)
    check_good_download(server, tmp_path)
    report(found="it had ended" if ended else "nothing unverified in the cache")
