"""Start a cluster of processes on this machine: the same command N times, each with its own TF_CONFIG."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from types import FrameType

import click


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "ignore_unknown_options": True},
    epilog="Each line of output starts with the number of its worker.",
)
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Number of processes.")
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="Threads of each worker (default: the machine's processors, shared evenly).",
)
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="Seconds that the others get to stop by themselves after one has failed.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def main(workers: int, threads: int | None, grace: float, command: tuple[str, ...]) -> None:
    """Run COMMAND in WORKERS processes that know of each other, for trials and tests of multi-worker training.

    The exit status is 0 if all workers end well, else that of the first that failed.

    \b
    python scripts/launch_workers.py --workers 2 -- \\
        modelzoo train dense_500_300 --strategy multi-worker --checkpoint-dir build/checkpoints
    """
    threads = threads or max(1, (os.cpu_count() or 1) // workers)
    addresses = free_addresses(workers)
    processes: list[subprocess.Popen[bytes]] = []
    for index in range(workers):
        environment = worker_environment(addresses, index, threads)
        try:
            process = subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C comes to them from here alone, once
            )
        except OSError as error:
            for started in processes:
                started.kill()
            raise click.UsageError(f"Cannot start {command[0]!r}: {error.strerror}. Name a program.") from None
        processes.append(process)
    readers = [threading.Thread(target=relay, args=(i, p), daemon=True) for i, p in enumerate(processes)]
    for reader in readers:
        reader.start()

    def stop(number: int, frame: FrameType | None) -> None:
        for process in processes:
            process.send_signal(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    status = wait(processes, grace)
    for reader in readers:
        reader.join(timeout=5)
    sys.exit(status)


def free_addresses(count: int) -> list[str]:
    """Return addresses on this machine whose ports nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("localhost", 0))
    addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return addresses


def worker_environment(addresses: Sequence[str], index: int, threads: int) -> Mapping[str, str]:
    """Return the environment of one worker."""
    config = {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}
    own = {"TF_CONFIG": json.dumps(config), "TF_NUM_INTRAOP_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    return {**os.environ, **own}


def relay(index: int, process: subprocess.Popen[bytes]) -> None:
    """Write a worker's output line by line, each with the worker's number; read on where nobody listens any more."""
    assert process.stdout is not None
    for line in process.stdout:
        with contextlib.suppress(OSError):
            sys.stdout.buffer.write(f"[{index}] ".encode() + line)
            sys.stdout.buffer.flush()


def wait(processes: Sequence[subprocess.Popen[bytes]], grace: float) -> int:
    """Wait for all; once one has failed, give the others some seconds, then end them; return the first bad status."""
    status, deadline = 0, float("inf")
    while any(process.poll() is None for process in processes):
        failed = [process.returncode for process in processes if process.returncode]
        if failed and not status:
            status, deadline = failed[0], time.monotonic() + grace
        if time.monotonic() > deadline:
            click.echo(f"launch_workers: ending the others {grace:g} s after one failed", err=True)
            for process in processes:
                process.kill()
            break
        time.sleep(0.1)
    codes = [process.wait() for process in processes]
    status = status or next((code for code in codes if code), 0)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    main()
