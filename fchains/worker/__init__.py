"""What runs inside a replica: batching, threads, watching, logs and the executor."""
