"""Every SQL statement of matching, one file per aggregate.

**Lock order, everywhere: need row -> capability row -> match rows in id order.** Whoever changes a match holds its
need's row. A handler's transaction covers a slice of many events, so handlers lock nothing but the projection
rows of their own topic, and leave the rest to the worker by way of `queue`, which never blocks.
"""
