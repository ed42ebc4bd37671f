"""A contract-first server for the CAMARA WebRTC Events API."""
