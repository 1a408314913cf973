"""Dead letters: messages that cannot be decoded, and what is processed again."""
