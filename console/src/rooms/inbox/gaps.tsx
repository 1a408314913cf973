import { useAnswer } from "../../state/answers";
import { count } from "../../format/numbers";
import { Moment } from "../../ui/moments";
import { Go } from "../../ui/parts";

const WHERE: Record<string, [string, string]> = {
  stream_failing: ["sources", "Sources"],
  source_stale: ["sources", "Sources"],
  budget_exhausted: ["sources", "Sources"],
  data_gap: ["runs", "Runs"],
};

/** A sentence, and where to go. */
function Reason({ of: reason }: { of: string }) {
  const [code = "", ...words] = reason.split(": ");
  const [room, title] = WHERE[code] ?? ["pipeline", "Pipeline"];
  const sentence = words
    .join(": ")
    .split(" write into CSV_DIR")[0]!
    .replace(/[:\s]+$/, "");
  return (
    <p class="wrap">
      {sentence || code} <Go to={{ room }}>{title}</Go>
    </p>
  );
}

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
          <Reason key={reason} of={reason} />
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
