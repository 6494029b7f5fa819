"""The kernel of Bandung: what every service needs and no service owns. It knows no service."""

__version__ = "0.1.0"
