"""Coverage-guided fuzzing of what comes from the network; needs atheris, which is not among the locked dependencies."""
