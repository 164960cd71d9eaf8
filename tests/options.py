# SPDX-License-Identifier: MIT
"""Options of a command whose help is its file's text: a line "usage: ...", what it does, its options, its exit status."""
import argparse


class Options(argparse.ArgumentParser):
    """An error is one line, and status 2."""

    def __init__(self, text):
        super().__init__(prog=text.split()[1], usage=text.split("\n", 1)[0].removeprefix("usage: "))
        self.text = text.strip() + "\n"

    def format_help(self):
        return self.text

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; see --help\n")
