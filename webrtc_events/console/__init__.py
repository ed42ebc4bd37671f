"""Pages for people who operate the service, or develop with it."""
