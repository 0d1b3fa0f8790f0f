"""A real multi-pod OpenStack on one machine; see ../README.md."""
