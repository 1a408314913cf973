"""What the sums of series must be, counted anew."""

# Series whose sums are others than those of their data points: none.
WRONG_SUMS = """
SELECT s.series_id, s.points, c.points, s.first_at, c.first_at, s.last_at, c.last_at, s.arrived_at,
       c.arrived_at
FROM series AS s LEFT JOIN (
    SELECT series_id, count(*) AS points, min("timestamp") AS first_at,
           max("timestamp") AS last_at, max(created_at) AS arrived_at
    FROM points WHERE retired_at IS NULL GROUP BY series_id) AS c USING (series_id)
WHERE (s.points, s.first_at, s.last_at)
      IS DISTINCT FROM (coalesce(c.points, 0), c.first_at, c.last_at)
OR s.arrived_at < c.arrived_at OR (s.arrived_at IS NULL AND c.points > 0)
"""

# Data points whose changes are not told once each, in order: none. Each change is a revision more.
WRONG_CHANGES = """
WITH told AS (
    SELECT y.id, c.seq, coalesce(c.revisions[y.n], 1) AS revision
    FROM changes AS c CROSS JOIN LATERAL unnest(c.ids) WITH ORDINALITY AS y (id, n)
), of_point AS (
    SELECT id, count(*) AS changes, max(revision) AS last,
           array_agg(revision ORDER BY seq) AS revisions FROM told GROUP BY id
)
SELECT p.id, p.revision, t.revisions::text FROM points AS p LEFT JOIN of_point AS t USING (id)
WHERE t.revisions IS DISTINCT FROM (SELECT array_agg(n) FROM generate_series(1, p.revision) AS n)
UNION ALL
SELECT NULL, NULL, format('%s numbers from %s to %s, told %s to %s', count(*), min(seq), max(seq),
                          oldest, last)
FROM change_position LEFT JOIN changes ON true GROUP BY oldest, last
HAVING count(seq) > 0 AND (min(seq), max(seq), count(seq)) <> (oldest, last, last - oldest + 1)
"""
