"""`python -m webrtc_events.cli`."""

from webrtc_events.cli.main import main

main()
