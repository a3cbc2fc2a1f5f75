"""A progress bar for training, as a Keras callback."""

from __future__ import annotations

from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class ProgressBar(keras.callbacks.Callback):
    """Shows steps made, time left and the latest losses and metrics.

    Parameters
    ----------
    console
        The rich console to draw on; standard error by default, so that standard output stays clean.
    keep_lines
        Print a line for each log entry above the bar.
    """

    def __init__(self, console: Console | None = None, *, keep_lines: bool = False) -> None:
        super().__init__()
        self._console = console or Console(stderr=True)
        self._keep_lines = keep_lines
        self._bar: Progress | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Draw the empty bar."""
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[scores]}"),
            console=self._console,
        )
        self._task = self._bar.add_task(
            self.model.name, total=self.params["steps"], completed=self.params.get("first_step", 0), scores="compiling"
        )
        self._bar.start()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Advance the bar to the step of the new log entry."""
        logs = dict(logs or {})
        step = int(logs.pop("step", 0))
        text = "  ".join(f"{name} {value:.4f}" for name, value in logs.items() if not name.endswith("_step"))
        if self._bar is not None:
            if self._keep_lines:
                self._bar.console.print(f"step {step:>6}  {text}", highlight=False)
            self._bar.update(self._task, completed=step, scores="" if self._keep_lines else text)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Leave the finished bar on the screen."""
        self.close()

    def close(self) -> None:
        """Give the terminal back; also called when training ends with an error."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
