"""When artune does it: Prefect flows, settings from the environment, and the `artune` command."""
