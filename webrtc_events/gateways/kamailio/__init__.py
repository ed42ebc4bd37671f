"""The adapter beside Kamailio: what deploy/kamailio/webrtc-events.cfg keeps for it, and what that means."""
