"""Shows the made-up answer on the real standard output: what the display's tests run in a terminal."""

import sys

from seriatim.cli.display import show_answer
from seriatim.cli.screen import open_screen
from seriatim.cli.status import Status
from tests.cli.answers import LENGTHS, TEXT, answer, citation, events

with Status(sys.stderr) as status:
    screen = open_screen(sys.stdout)
    show_answer(events(answer(TEXT, citation())), screen, status, LENGTHS, thinking=screen.console is not None)
