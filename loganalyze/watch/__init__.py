"""Following a run that another process writes: what is new is read, what changed is judged again."""
