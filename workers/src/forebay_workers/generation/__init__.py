"""Generation: answers from contexts, streamed as the model writes them."""
