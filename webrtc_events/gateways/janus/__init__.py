"""The adapter beside Janus: what its event handler posts becomes network events."""
