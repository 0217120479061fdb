"""How much a caller may do: calls, answers, tokens and waiting documents."""
