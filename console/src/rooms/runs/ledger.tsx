import type { Schemas } from "../../api/client";
import { count } from "../../format/numbers";
import { Badge } from "../../ui/parts";
import { MEANINGS, Word } from "../../ui/word";

type Run = Schemas["RunDetail"];
const OUTCOMES = [
  ["inserted", "--gain"],
  ["updated", "--accent"],
  ["unchanged", "--grey"],
  ["skipped", "--soft"],
  ["rejected", "--care"],
] as const;

/** Every record ends as one of five; the bar closes when all are accounted for. */
export function Ledger({ of: run }: { of: Run }) {
  const told = OUTCOMES.reduce((sum, [name]) => sum + run[name], 0);
  const whole = Math.max(run.records, told, 1);
  let from = 0;
  const { pages_missing: missing, balanced } = run.ledger;
  const isGoing = run.status === "running" || run.status === "queued";
  return (
    <div>
      <div class="row">
        <strong>{count(run.records)} records</strong>
        {balanced ? (
          <Badge tone="good">
            <Word of="balanced" /> ✓
          </Badge>
        ) : (
          <Badge tone={isGoing ? "" : "warn"}>
            {missing && !isGoing ? `${count(missing)} pages are missing` : "not balanced yet"}
          </Badge>
        )}
        <span class="soft">
          {count(run.ledger.pages_received)} of {count(run.ledger.pages_published)}{" "}
          <Word of="page">pages</Word>
        </span>
      </div>
      <div class="bar">
        <svg viewBox="0 0 1 1" preserveAspectRatio="none" role="img" aria-label="The ledger">
          {OUTCOMES.map(([name, colour]) => {
            const x = from;
            from += run[name] / whole;
            return (
              <rect key={name} x={x} width={run[name] / whole} height="1" fill={`var(${colour})`}>
                <title>{`${name}: ${count(run[name])}`}</title>
              </rect>
            );
          })}
        </svg>
      </div>
      <div class="legend">
        {OUTCOMES.map(([name, colour]) => (
          <span key={name}>
            <svg viewBox="0 0 9 9" aria-hidden="true">
              <rect width="9" height="9" rx="2" fill={`var(${colour})`} />
            </svg>
            {isExplained(name) ? <Word of={name} /> : name} {count(run[name])}
          </span>
        ))}
      </div>
    </div>
  );
}

function isExplained(name: string): name is "skipped" | "rejected" {
  return name in MEANINGS;
}
