"""One function per state change; the API, the worker and the scheduler all call these."""
