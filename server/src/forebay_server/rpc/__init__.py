"""gRPC: how calls come in and go out. The rules that they meet stand in `governance`."""
