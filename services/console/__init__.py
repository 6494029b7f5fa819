"""The web client; for now its front door and its health."""
