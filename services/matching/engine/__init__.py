"""The match engine: which capability answers which need, how well, and why.

A pure library. Nothing here reads a clock, a database or a bus; the caller passes the day, the facts
and the frozen term statistics, and gets the same answer for the same input for ever.

Reading order: `model` (what is known) -> `eligibility` (who may be proposed) -> `criteria` (values in
0..1 from stored inputs) -> `inputs` and `words` (where inputs come from, how they read) -> `score`
(weights, sum, explanation) -> `index` (all capabilities at once: `rows` and `postings` in a `store`, a
need as a `probe`, the best rows by `search`; open needs as `seekers`, of which a capability finds its
`takers`) -> `facilitators`, `simulation`, `rounds`.
"""
