"""The rules of every call, whatever transport it came by: who it is, what it may, what it says."""
