"""Registry: who is there, what they offer, what they need, who may act."""
