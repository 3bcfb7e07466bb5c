"""What chance explains, and what it does not: statistics of runs that fail together."""
