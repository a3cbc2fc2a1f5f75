"""SIGKILL while a network is trained, writes a checkpoint and is exported; then the same run is resumed."""

from __future__ import annotations

import dataclasses
import itertools
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faults_common import Progress, Row, Workers, kill_after

import modelzoo
from modelzoo.errors import ArtifactError, ModelZooError
from modelzoo.training.checkpoints import Checkpoints

MODELS: dict[str, dict[str, Any]] = {
    "sigmoid_mlp": {
        "model": {"name": "sigmoid_mlp"},
        "recipe": {"steps": 10_000, "optimizer": "sgd", "learning_rate": 0.01, "log_every": 250, "log_train": "all"},
    },
    "dense_500_300": {
        "model": {"name": "dense_500_300"},
        "recipe": {"steps": 120, "batch_size": 100, "optimizer": "rmsprop", "log_every": 10, "xla": "update"},
    },
    "two_conv_cnn": {
        "model": {"name": "two_conv_cnn", "filters": [4, 8], "hidden_units": 32},
        "recipe": {"steps": 60, "batch_size": 50, "learning_rate": 1e-3, "log_every": 6, "xla": "update"},
    },
}
#: What a kill is aimed at, in turn.
PHASES = {"training": "in training", "checkpoint": "in a checkpoint", "export": "in the export"}
#: Kills that no clock can aim: the steps in which a directory takes the place of another.
SWAPS = {
    "before": "just before the exchange of old and new artifact",
    "after": "just after it",
    "between": "between two renames, where the system cannot exchange",
}


@dataclasses.dataclass(frozen=True)
class Window:
    """A phase of the undisturbed run: the number of the message that begins it, and its seconds."""

    phase: str
    number: int
    seconds: float


class Run:
    """One network's run, undisturbed once and killed as often as wanted.

    Parameters
    ----------
    name
        One of :data:`MODELS`.
    workers
        Processes that have imported TensorFlow.
    directory
        An empty directory.
    rng
        Chooses the moments.
    """

    def __init__(self, name: str, workers: Workers, directory: Path, rng: random.Random) -> None:
        self.name, self._workers, self._directory, self._rng = name, workers, directory, rng
        self._job = {"do": "train_and_export", **MODELS[name]}
        self._earlier = directory / "earlier"
        other = dict(MODELS[name]["model"])
        modelzoo.save(modelzoo.create_model(other.pop("name"), seed=1, **other), self._earlier)
        whole = workers.run(**self._job, checkpoints=str(directory / "whole"), target=str(directory / "new"))
        self._expected = whole["answer"]
        marks = [message for message in whole["messages"] if "mark" in message]
        self._windows = [
            Window(mark["mark"], number, after["time"] - mark["time"])
            for number, (mark, after) in enumerate(itertools.pairwise(marks))
        ]
        self._digests = {digest_at(self._earlier): "earlier", whole["answer"]["digest"]: "new"}
        assert len(self._digests) == 2, "the earlier artifact cannot be told from the new one"

    def trial(self, number: int, phase: str, swap: str | None = None) -> tuple[str, str, list[str]]:
        """Kill the run and resume it; return the phase that the kill fell into, what was found, and what was lost."""
        place = self._directory / f"trial-{number}"
        job = self._job | {"checkpoints": str(place / "checkpoints"), "target": str(place / "models" / "1")}
        replaces = swap is not None or number % 2 == 0
        if replaces:
            shutil.copytree(self._earlier, place / "models" / "1")
        landed, published = self._kill(job, phase, swap)
        lost = []
        if replaces and swap != "between" and not (place / "models" / "1").exists():
            lost.append("there was a moment without any artifact")
        state = self._state(place / "models" / "1")
        allowed = {"earlier" if replaces else "absent", *(["new"] if landed in ("export", "end") else [])}
        if state not in allowed:
            lost.append(f"the target is {state}, not {' or '.join(sorted(allowed))}")
        lost += self._checkpoints_lost(place / "checkpoints", published)
        if swap is None and self._rng.random() < 1 / 3:  # a resumed run may be killed as well
            self._kill(job, "training", None, resumed=True)
        lost += self._resume(job, place)
        shutil.rmtree(place)
        shown = {"earlier": "earlier artifact intact", "absent": "no artifact yet", "new": "new artifact complete"}
        return landed, shown.get(state, state), [f"{self.name}, trial {number}: {text}" for text in lost]

    def _kill(self, job: dict[str, Any], phase: str, swap: str | None, *, resumed: bool = False) -> tuple[str, int]:
        """Start the run and kill it; return the phase it was in and the step of the last checkpoint it told of."""
        windows = [window for window in self._windows if window.phase == phase]
        window = windows[0] if resumed else self._rng.choice(windows)
        pid = self._workers.start(**job, **({} if swap is None else {"die": swap}))
        landed, published = "", 0
        seen = 0
        for message in self._workers.messages():
            if "mark" not in message:
                continue
            landed = message["mark"]
            published = message.get("step", 0) if landed == "training" else published
            if swap is None and seen == window.number:
                kill_after(pid, self._rng.uniform(0, window.seconds))
            seen += 1
        return landed, published

    def _state(self, target: Path) -> str:
        """Return which artifact is there, after every hash of it and its weights have been checked."""
        try:
            return self._digests.get(digest_at(target), "of unknown weights")
        except ArtifactError as error:
            return f"damaged ({error})"
        except ModelZooError:
            return "absent"

    def _checkpoints_lost(self, directory: Path, published: int) -> list[str]:
        try:
            latest = Checkpoints(directory, {}).latest()
        except ArtifactError as error:
            return [str(error)]
        newest = latest.step if latest else 0
        return [] if newest >= published else [f"the checkpoint of step {published} is lost; the newest is of {newest}"]

    def _resume(self, job: dict[str, Any], place: Path) -> list[str]:
        """Let the run go on to its end and return what is not as in the undisturbed one."""
        done = self._workers.run(**job)
        if done["answer"] is None:
            return [f"the resumed run ended with status {done['status']}"]
        lost = [
            f"{key} of the resumed run differs" for key in self._expected if done["answer"][key] != self._expected[key]
        ]
        if (state := self._state(place / "models" / "1")) != "new":
            lost.append(f"the target of the resumed run is {state}")
        left = [path.name for path in place.glob("*/.*") if path.name != ".lock"]
        return lost + ([f"left behind: {', '.join(left)}"] if left else [])


def digest_at(path: Path) -> str:
    """Return the digest of the weights of an artifact that loads."""
    return modelzoo.weights_digest(modelzoo.load(path))


def kill_rows(
    name: str, workers: Workers, directory: Path, *, trials: int, seed: int, progress: Progress, swaps: bool = True
) -> Iterator[Row]:
    """Yield the rows of one network: one for each phase that a kill fell into, and for each step of the swap."""
    run = Run(name, workers, directory, random.Random(f"{seed} {name}"))
    rows = {phase: Row("kill", f"`{name}` killed {words}") for phase, words in PHASES.items()}
    aims = itertools.cycle(PHASES)
    done = number = 0
    while done < trials and number < 2 * trials + 3:
        aim = next(aims)
        progress(f"{name}: kill {done + 1} of {trials}, {PHASES[aim]}")
        landed, found, lost = run.trial(number, aim)
        number += 1
        if landed in rows:
            rows[landed].note(found, lost)
            done += 1
        elif lost:  # the run had ended before the kill, which is no trial, but nothing may be lost either
            rows[aim].lost += lost
    yield from rows.values()
    for moment, words in SWAPS.items() if swaps else ():
        progress(f"{name}: {words}")
        row = Row("kill", f"`{name}` killed {words}")
        _, found, lost = run.trial(number, "export", moment)
        number += 1
        row.note(found, lost)
        yield row
