"""Changes of data points in the order in which they became visible, whoever made them.

A trigger notes what a statement changed; when the transaction commits, a deferred one gives it its
number. The row that counts is locked from then until the commit is over, so that numbers become
visible in their order, without a gap.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
# `kind`: i(nserted), u(pdated), r(etired), b(rought back). `revisions`: of each data point then;
# null: 1. Ids are as good as random, and are not compressed in vain.
_TABLES = """
CREATE TABLE changes (
    seq bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    count integer NOT NULL,
    ids uuid[] NOT NULL,
    revisions integer[]
);
ALTER TABLE changes ALTER ids SET STORAGE EXTERNAL;
CREATE TABLE change_position (
    is_only boolean PRIMARY KEY CHECK (is_only),
    last bigint NOT NULL,
    oldest bigint NOT NULL,
    incarnation uuid NOT NULL
);
INSERT INTO change_position VALUES (true, 0, 1, gen_random_uuid());
CREATE SEQUENCE change_unnumbered
"""
_NOTE = """
CREATE FUNCTION note_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (seq, at, kind, count, ids)
    SELECT -nextval('change_unnumbered'), now(), 'i', count(*), array_agg(id)
    FROM new_points WHERE retired_at IS NULL HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE FUNCTION note_updated() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
BEGIN
    INSERT INTO changes (seq, at, kind, count, ids, revisions)
    SELECT -nextval('change_unnumbered'), now(), kind, count(*), array_agg(id),
           array_agg(revision)
    FROM (
        SELECT n.id, n.revision, CASE
            WHEN o.retired_at IS NULL AND n.retired_at IS NOT NULL THEN 'r'
            WHEN n.retired_at IS NULL AND o.retired_at IS NOT NULL THEN 'b'
            WHEN n.retired_at IS NULL AND n.value_hash <> o.value_hash THEN 'u' END AS kind
        FROM new_points AS n JOIN old_points AS o USING (id)
    ) AS each WHERE kind IS NOT NULL GROUP BY kind;
    RETURN NULL;
END $$;
CREATE FUNCTION number_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    next bigint;
BEGIN
    UPDATE change_position SET last = last + 1 RETURNING last INTO STRICT next;
    UPDATE changes SET seq = next, at = clock_timestamp() WHERE seq = NEW.seq;
    RETURN NULL;
END $$;
CREATE TRIGGER points_note_inserted AFTER INSERT ON points
REFERENCING NEW TABLE AS new_points FOR EACH STATEMENT EXECUTE FUNCTION note_inserted();
CREATE TRIGGER points_note_updated AFTER UPDATE ON points
REFERENCING OLD TABLE AS old_points NEW TABLE AS new_points
FOR EACH STATEMENT EXECUTE FUNCTION note_updated();
CREATE CONSTRAINT TRIGGER changes_number AFTER INSERT ON changes
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION number_change()
"""


def upgrade() -> None:
    op.execute(_TABLES)
    op.execute(_NOTE)


def downgrade() -> None:
    op.execute(
        """
        DROP TRIGGER points_note_inserted ON points;
        DROP TRIGGER points_note_updated ON points;
        DROP TABLE changes, change_position;
        DROP SEQUENCE change_unnumbered;
        DROP FUNCTION note_inserted(), note_updated(), number_change()
        """
    )
