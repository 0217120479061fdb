"""The migrations: NNNN_name.sql, applied in the order of their numbers and never edited after."""
