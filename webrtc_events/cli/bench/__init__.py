"""`webrtc-events bench`: a self-test of an installation that measures how fast it is."""
