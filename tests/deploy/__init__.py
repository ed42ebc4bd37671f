"""Image, chart and compose file, as the tools of containers and Kubernetes read them."""
