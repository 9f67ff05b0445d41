"""What nodes say to each other and conclude from it."""
