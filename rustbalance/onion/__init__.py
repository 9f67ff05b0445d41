"""Pure onion-service core: rend-spec-v3 without I/O, clocks or randomness of its own."""
