"""Requests and answers: the HTTP contract of matching."""
