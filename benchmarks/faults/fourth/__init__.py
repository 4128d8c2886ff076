"""The fourth sitting: tasks, faults and healthy runs that no rule has seen."""
