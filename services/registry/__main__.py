"""`python -m services.registry`: the commands of every service, and those of registry alone."""

from services.registry.app import build
from services.registry.cli import keys
from services.registry.settings import Settings
from shared.cli import main

if __name__ == "__main__":
    main(build, Settings, keys)
