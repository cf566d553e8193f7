"""A grid of questions to `plan`: one row each, going on where a run was stopped, here or on Ray."""
