"""The ways out: webhooks (with the guard against inside addresses) and event streams."""
