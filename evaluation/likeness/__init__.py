"""Training items that others are most like: copies, and what is nearly one."""
