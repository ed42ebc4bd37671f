"""The CAMARA WebRTC Events API for applications: `client` subscribes, `consumer` receives notifications.

Import what you need from the modules themselves: each works without the other.
"""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("webrtc-events-client")
