"""`python -m seriatim`."""

import sys

from seriatim.cli import main

sys.exit(main())
