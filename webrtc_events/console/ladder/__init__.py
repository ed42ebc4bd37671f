"""The call ladder: what happened to the events of a media session, as a sequence diagram."""
