"""Running the thing: settings, clock, ids, logs, telemetry."""
