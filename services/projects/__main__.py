"""`python -m services.projects`: run, migrate, topics and the other commands of this service."""

from services.projects.app import build
from services.projects.settings import Settings
from shared.cli import main

if __name__ == "__main__":
    main(build, Settings)
