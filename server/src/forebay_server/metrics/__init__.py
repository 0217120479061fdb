"""Figures of this process for Prometheus, on a private port. No label names a tenant."""
