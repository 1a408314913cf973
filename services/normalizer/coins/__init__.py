"""Which coins a text is about."""
