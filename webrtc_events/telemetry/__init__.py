"""What a process says about itself to machines: metrics, traces."""
