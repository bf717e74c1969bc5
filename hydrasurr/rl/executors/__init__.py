"""Where tasks are done: processes of this machine, ranks of a job, actors of Ray."""
