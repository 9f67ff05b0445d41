"""When to publish what, and whether it arrived: the two descriptors of the master address."""
