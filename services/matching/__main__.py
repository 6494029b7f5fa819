"""`python -m services.matching`."""

from services.matching.app import build
from services.matching.cli import commands
from services.matching.settings import Settings
from shared.cli import main

if __name__ == "__main__":
    main(build, Settings, commands)
