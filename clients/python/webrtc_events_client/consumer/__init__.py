"""Receives notifications: verified, typed, each once and in order."""
