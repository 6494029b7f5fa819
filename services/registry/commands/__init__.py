"""One function per state change; routes, handlers and timers all come through here.

Lock order within a transaction: names (advisory) -> institution -> verification; need or capability alone; country;
trade flows (advisory) -> trade profiles by code.
No transaction locks both a need and a capability.
"""
