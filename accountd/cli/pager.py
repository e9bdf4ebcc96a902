"""Long answers on a terminal, a page at a time."""

import os
import shlex
import shutil
import subprocess
import sys

PROGRAM = "less"
OPTIONS = "FRX"  # ends when all fits, keeps colours, leaves the screen as it is


def show(text: str) -> None:
    """Write text to the terminal, through `$PAGER` (or less) when it is longer than the screen."""
    lines = text.count("\n")
    program = shlex.split(os.environ.get("PAGER", PROGRAM))
    if lines < shutil.get_terminal_size().lines or not program or shutil.which(program[0]) is None:
        sys.stdout.write(text)
        return
    # The pager is somebody else's program: it gets no key of ours.
    env = {name: value for name, value in os.environ.items() if not name.upper().startswith("ACCOUNTD_")}
    sys.stdout.flush()
    with subprocess.Popen(program, stdin=subprocess.PIPE, env={"LESS": OPTIONS, **env}, text=True) as pager:
        assert pager.stdin is not None
        try:
            pager.stdin.write(text)
            pager.stdin.close()
        except BrokenPipeError:
            pass  # the reader has seen enough
        while True:
            try:
                pager.wait()
                return
            except KeyboardInterrupt:
                continue  # Ctrl-C belongs to the pager
