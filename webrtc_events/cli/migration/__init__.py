"""`webrtc-events migrate`: what subscriptions of 0.2 would be under 0.3."""
