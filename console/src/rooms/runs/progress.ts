import type { Schemas } from "../../api/client";

type Run = Pick<Schemas["RunDetail"], "status" | "records" | "started_at" | "tasks">;

/** How many seconds are left, by the rows that files have and the speed so far; null: not known. */
export function secondsLeft(run: Run, now: number): number | null {
  if (run.status !== "running" || !run.started_at || !run.records) return null;
  const expected = run.tasks.reduce((sum, task) => {
    const rows = Number((task.profile as { rows?: number } | null)?.rows ?? 0);
    return sum + Math.max(task.records, task.finished_at ? 0 : rows);
  }, 0);
  const seconds = (now - Date.parse(run.started_at)) / 1_000;
  if (expected <= run.records || seconds <= 0) return null;
  return ((expected - run.records) * seconds) / run.records;
}
