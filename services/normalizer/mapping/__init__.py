"""Mapping: (record, context) → data points, skip or rejection.

Pure; knows neither Faust nor Kafka.
"""
