import { useAnswer } from "../../state/answers";
import { count } from "../../format/numbers";
import { Moment } from "../../ui/moments";

/** Messages that Kafka no longer had when they were wanted, and what is degraded. */
export function Gaps() {
  const health = useAnswer("/health");
  const open = (health.data?.data_gaps ?? []).filter((gap) => gap.closed_at === null);
  const reasons = health.data?.reasons ?? [];
  if (!open.length && !reasons.length) return null;
  return (
    <div class="panel">
      <header>
        <h2>Needs attention</h2>
      </header>
      <div class="body">
        {reasons.map((reason) => (
          <p key={reason} class="care">
            {reason}
          </p>
        ))}
        {open.map((gap) => (
          <p key={`${gap.topic} ${gap.partition} ${gap.first_missing}`}>
            {count(gap.first_available - gap.first_missing)} messages of {gap.topic} {gap.partition}{" "}
            are missing: {gap.reason}, noticed <Moment time={gap.noticed_at} />
          </p>
        ))}
      </div>
    </div>
  );
}
