"""The ``modelzoo`` command: its subcommands, and how it ends."""

from __future__ import annotations

import importlib
import os
import re
import sys

import click

import modelzoo
from modelzoo.cli.common import use_terminal
from modelzoo.errors import InputError, ModelZooError

#: The subcommands, by the module that each is in.
_COMMANDS = {
    "show": ("list", "info", "describe"),
    "train": ("train", "finetune"),
    "use": ("evaluate", "compare", "reproduce", "predict", "export", "check"),
    "play": ("play",),
}


class _Group(click.Group):
    """A command that imports only the subcommand it runs; its list of them has their whole first lines."""

    def list_commands(self, ctx: click.Context | None) -> list[str]:
        return [name for names in _COMMANDS.values() for name in names]

    def get_command(self, ctx: click.Context | None, cmd_name: str) -> click.Command | None:
        for module, names in _COMMANDS.items():
            if cmd_name in names:
                name = "list_command" if cmd_name == "list" else cmd_name
                return getattr(importlib.import_module(f"modelzoo.cli.{module}"), name)
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl([(name, found.get_short_help_str(200)) for name, found in commands.items() if found])


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(modelzoo.__version__)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--import", "modules", multiple=True, metavar="MODULE", help="Import networks or data sets of your own.")
def app(debug: bool, modules: tuple[str, ...]) -> None:
    """Train, export, fine-tune and use the classical neural networks.

    \b
    modelzoo list                                  what there is
    modelzoo info two_conv_cnn                     facts and recipes of one network
    modelzoo describe two_conv_cnn -o about        its page: diagram, equation, layers, results, how to use it
    modelzoo train two_conv_cnn -o my_cnn          train it by its lesson recipe and export a SavedModel
    modelzoo evaluate my_cnn                       loss and accuracy on its test set, beside its card
    modelzoo compare my_cnn two_conv_cnn           which of two models is better, and on which samples
    modelzoo reproduce tanh_mlp                    train it again by its card and compare
    modelzoo predict digit.png --model my_cnn      what is this digit?
    modelzoo finetune my_cnn --data photos/ -o new start from trained weights, on your own images
    modelzoo play two_conv_cnn                     draw on it and look inside, in the browser
    modelzoo play                                  train networks of points in the browser
    modelzoo --import mynets train my_network      a network that ./mynets.py registers
    """
    if modules:
        sys.path.insert(0, os.getcwd())
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise InputError(f"Cannot import {module}: {error}. Give a module here or an installed one.") from None


def main() -> None:
    """Run the command; bad input is one line and exit status 2."""
    debug = "--debug" in sys.argv
    use_terminal()
    try:
        # A shell leaves the ~ of --output=~/net and folder=~/mnist as it is.
        args = [re.sub(r"^([^=]*=)?~(?=/|$)", rf"\g<1>{os.path.expanduser('~')}", arg) for arg in sys.argv[1:]]
        status = app(args, prog_name="modelzoo", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except Exception as error:
        ours = isinstance(error, ModelZooError | OSError | MemoryError)
        if debug or not (ours or type(error).__module__.startswith("tensorflow.")):
            raise
        lines = str(error).splitlines() or [type(error).__name__]
        # Ours are one line, unless a name in them has several; TensorFlow's go on with its stack.
        click.echo(f"Error: {' '.join(lines) if ours else lines[0]}", err=True)
        status = 2
    sys.exit(status)
