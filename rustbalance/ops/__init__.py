"""What operators see: status, the control socket, logs."""
