"""Says $GREETING, prints the file its first argument names, and fails if its second one is not 0."""

import os
import sys

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import environment


class Run(exports.Run):
    def run(self) -> None:
        print("Python says", os.environ.get("GREETING"))
        arguments = environment.get_arguments()
        if len(arguments) < 2:
            return
        try:
            with open(arguments[1]) as file:
                print(file.read(), end="")
        except OSError as error:
            # Nobody catches what leaves this method: the guest would end in a trap.
            print(error, file=sys.stderr)
            raise Err(None)
        # An exit code of WASI 0.2 is "well" or "not well".
        if len(arguments) > 2 and arguments[2] != "0":
            raise Err(None)
