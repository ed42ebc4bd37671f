"""What makes one machine a whole network: the store, issuer and sink of `serve`, and the demo."""
