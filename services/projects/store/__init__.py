"""SQL of projects, one file per aggregate.

Lock order, everywhere: project, then its child. Institutions that registry told of are locked by the slices of its
events alone, which hold many of them until they end, in the order of the log. So no request may wait for two of them:
`start` and `resume` read the standing of the partners without locking it, under an advisory lock that the handler of
a suspension takes for itself (`institutions.keep_standing`, `institutions.alter_standing`). It comes after the
project of the request, which is not active, and before the active projects that the handler locks.

One wait in a circle remains, and PostgreSQL ends it: `institutions.mention` writes down a partner of whom nothing is
known, while a slice holds the first news of that partner and wants the same active project, or other partners that
are being written down too. A slice that is ended is handled again, a request is answered 503 with `Retry-After`.
"""
