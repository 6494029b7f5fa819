"""The language of the installation: topics, and one file of event classes per producing service."""
