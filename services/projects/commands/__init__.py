"""State changes of projects, one function each; the same for the API, handlers and tests.

Order in each: load with lock (404), permission (403), If-Match (428, 412), state and rules (409, 422), change, publish.
"""
