"""The parts of the guides that are made from the code: settings, events, states. `bandung docs write` fills them in."""
