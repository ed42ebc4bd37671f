"""`webrtc-events doctor`: checks of an installation, each with what to do about what it finds."""
