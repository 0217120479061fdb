"""What operators see of the stages and of what these gave up, and may do about it."""
