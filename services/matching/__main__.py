"""`python -m services.matching`."""

from shared.ops.signals import end_in_order_from_the_start

if __name__ == "__main__":
    end_in_order_from_the_start()  # before the imports, which take a second

    from services.matching.app import build
    from services.matching.cli import commands
    from services.matching.settings import Settings
    from shared.cli import main

    main(build, Settings, commands)
