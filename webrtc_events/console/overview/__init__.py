"""The first section: how the service is doing, now and in the last hour."""
