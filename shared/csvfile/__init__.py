"""What a CSV file is: how it is written, what its columns show as a whole, and what they mean.

`content` opens it, `head` finds encoding, delimiter and header, `evidence` counts what every column holds, `plan` concludes.
The extractor reads by it, the normalizer maps by it, the gateway shows it (docs/adr/0008-csv-profiles.md).
"""
