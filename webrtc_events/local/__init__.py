"""What `webrtc-events serve` adds to make one machine a whole network: store, issuer, sink, demo."""
