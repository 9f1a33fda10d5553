"""What runs in the child process that owns one model."""
