"""`python -m services.notifications`: the commands of this service."""

from shared.ops.signals import end_in_order_from_the_start

if __name__ == "__main__":
    end_in_order_from_the_start()  # before the imports, which take a second

    from services.notifications.app import build
    from services.notifications.settings import Settings
    from shared.cli import main

    main(build, Settings)
