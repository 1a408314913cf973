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
