"""A progress bar for training, as a Keras callback."""

from __future__ import annotations

import io
from typing import Any

from rich import progress
from rich.console import Console
from rich.table import Column
from rich.text import Text

from modelzoo._keras import keras


class ProgressBar(keras.callbacks.Callback):
    """Shows steps made, time left and the latest losses and metrics.

    A terminal gets a bar, a notebook a line that changes in place, and a pipe or a file a line for each log entry.

    Parameters
    ----------
    console
        The rich console to draw on; standard error by default, so that standard output stays clean.
    keep_lines
        Print a line for each log entry above the bar, too.
    """

    def __init__(self, console: Console | None = None, *, keep_lines: bool = False) -> None:
        super().__init__()
        self._console = console or Console(stderr=True)
        self._keep_lines = keep_lines or not (self._console.is_jupyter or self._console.is_interactive)
        self._bar: progress.Progress | None = None
        self._display: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Draw the empty bar."""
        whole = [Column(no_wrap=True) for _ in range(4)]  # where the line is too long, the scores are cut
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(16, table_column=whole[0]),
            progress.MofNCompleteColumn(table_column=whole[1]),
            progress.TimeElapsedColumn(table_column=whole[2]),
            progress.TimeRemainingColumn(table_column=whole[3]),
            _Scores(),
            console=self._console,
        )
        self._task = self._bar.add_task(
            self.model.name, total=self.params["steps"], completed=self.params.get("first_step", 0), scores="compiling"
        )
        if self._console.is_jupyter:  # where rich's own bar needs ipywidgets
            from IPython.display import display

            self._display = display({"text/plain": self._line()}, raw=True, display_id=True)
        elif self._console.is_interactive:
            self._bar.start()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Advance the bar to the step of the new log entry."""
        logs = dict(logs or {})
        step = int(logs.pop("step", 0))
        text = "  ".join(f"{name} {value:.4f}" for name, value in logs.items() if not name.endswith("_step"))
        if self._keep_lines:
            self._console.print(f"step {step:>5}  {text}", highlight=False, soft_wrap=True)
        if self._bar is not None:
            self._bar.update(self._task, completed=step, scores="" if self._keep_lines else text)
        if self._display is not None:
            self._display.update({"text/plain": self._line()}, raw=True)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Leave the finished bar on the screen."""
        self.close()

    def close(self) -> None:
        """Give the terminal back; also called when training ends with an error."""
        if self._bar is not None and self._bar.live.is_started:
            self._bar.stop()
        self._bar = self._display = None

    def _line(self) -> str:
        """Return the bar as plain text."""
        page = Console(file=io.StringIO(), width=160, force_jupyter=False, force_terminal=False)
        with page.capture() as captured:
            page.print(self._bar)
        return captured.get().rstrip()


class _Scores(progress.ProgressColumn):
    """The scores, cut where the line ends."""

    def render(self, task: progress.Task) -> Text:
        return Text(task.fields["scores"], no_wrap=True, overflow="ellipsis")
