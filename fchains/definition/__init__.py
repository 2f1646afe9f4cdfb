"""What users declare, and the checks of it: options, resources, signatures and the call graph."""
