"""The contracts with strangers, made from `Service` objects, and how they may change."""
