"""What crosses between processes: values, failures and frames; no I/O."""
