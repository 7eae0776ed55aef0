"""The command line: what stops a command for a reason outside of it ends it with one sentence."""

import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence

from django.core.management import execute_from_command_line
from django.db import Error

from config.database_problems import problem_of


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return what reads an argument of a command, and refuses all but whole numbers from one to the
    other."""

    def read(text: str) -> int:
        # No number of an argument has more digits.
        if not (text.isdecimal() and len(text) < 20 and least <= int(text) <= most):
            raise ArgumentTypeError(f"use a whole number from {least} to {most}.")
        return int(text)

    return read


def run(arguments: Sequence[str]) -> None:
    """Run the command. End the process with 1 and a sentence if the database cannot be used, and
    with 130 at Ctrl-C; with --traceback the error itself is shown."""
    try:
        execute_from_command_line(list(arguments))
    except KeyboardInterrupt:
        sys.exit(130)
    except Error as error:
        problem = problem_of(error)
        if not problem or "--traceback" in arguments:
            raise
        sys.exit(problem)
