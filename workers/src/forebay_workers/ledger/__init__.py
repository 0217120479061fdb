"""What the log already says about the work of a stage: nothing is begun, or paid for, twice."""
