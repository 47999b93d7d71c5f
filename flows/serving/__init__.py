"""What `artune serve` is made of: a Prefect server, a process that runs flows, and one that watches over both."""
