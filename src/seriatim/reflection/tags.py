"""The protocol's tags as they stand in a response, each on a line of its own: what serving opens and closes, training
teaches, and evaluation asks for."""

OPENING = "<thinking>\n"
PLAN = ("<plan>\n", "\n</plan>\n")
REFLECTION = ("<reflection>\n", "\n</reflection>\n")
CLOSING = "</thinking>\n"
OUTPUT = ("<output>\n", "\n</output>")
TO_OUTPUT = f"\n{CLOSING}{OUTPUT[0]}"
"""From the last words of the thinking to the first of the output."""
