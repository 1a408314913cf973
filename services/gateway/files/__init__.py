"""Answers as files, made by a child process in constant memory."""
