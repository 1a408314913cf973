"""RSS, RDF, Atom and JSON feeds."""
