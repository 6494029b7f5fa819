"""SQL of projects, one file per aggregate.

Lock order, everywhere: project, then its child, then institutions. The one who locks an institution first, the
handler of institution events, afterwards locks active projects only, and nobody who holds one waits for an
institution: `start` and `resume`, which do, hold projects that are not active.
"""
