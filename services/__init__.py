"""The services by name; imports nothing, so that an image with one of them needs no other."""

SERVICES = {
    "registry": "services.registry",
    "matching": "services.matching",
    "projects": "services.projects",
    "notifications": "services.notifications",
}
CONSOLE = "services.console"
