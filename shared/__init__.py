"""The contract between the services: messages, topics, tables and the plumbing all of them use.

No service logic lives here, and nothing connects to anything at import.
"""

__version__ = "0.3.0"
