"""Where Seriatim keeps models, caches and the default library."""

import os
from pathlib import Path

from platformdirs import user_data_path


def home() -> Path:
    """`SERIATIM_HOME`, else the platform's user data folder. Not created here."""
    override = os.environ.get("SERIATIM_HOME")
    return Path(override).expanduser() if override else user_data_path("seriatim", appauthor=False)
