"""Adapters beside WebRTC gateways: network events of what SIP does, on disk until the service has them."""
