"""The four services. A service imports `shared` and never another service."""
