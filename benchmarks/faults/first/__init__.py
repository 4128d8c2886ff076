"""The first sitting: the tasks, faults and healthy runs that the rules were begun with."""
