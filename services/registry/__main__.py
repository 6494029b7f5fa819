"""`python -m services.registry`: the commands of every service, and those of registry alone."""

from shared.ops.signals import end_in_order_from_the_start

if __name__ == "__main__":
    end_in_order_from_the_start()  # before the imports, which take a second

    from services.registry.app import build
    from services.registry.cli import keys
    from services.registry.settings import Settings
    from shared.cli import main

    main(build, Settings, keys)
