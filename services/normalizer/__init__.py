"""The normalizer turns pages of raw records into pages of UnifiedData.

Faust lives here and nowhere else.
"""
