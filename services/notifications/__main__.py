"""`python -m services.notifications`: the commands of this service."""

from services.notifications.app import build
from services.notifications.settings import Settings
from shared.cli import main

if __name__ == "__main__":
    main(build, Settings)
