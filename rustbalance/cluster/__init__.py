"""What nodes say to each other and what they conclude from it: pure, clocked by whoever calls."""
