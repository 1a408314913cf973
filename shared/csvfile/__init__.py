"""What a CSV file is: how it is written, what its columns show as a whole, and what they mean.

`content` opens it, `header` finds encoding, delimiter and header, `column_stats` counts what every
column holds, `infer` concludes. The extractor reads by it, the normalizer maps by it, the gateway
shows it (docs/adr/0008-csv-profiles.md).
"""
