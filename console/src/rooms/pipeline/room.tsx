// Pipeline: the services and the topics between them, what waits where, the last runs.
// GET /health, GET /stats.

import { count } from "../../format/numbers";
import { useAnswer } from "../../state/answers";
import { Panel } from "../../ui/panel";
import { Badge, Facts } from "../../ui/parts";
import { Hour } from "./hour";
import { Picture } from "./picture";

export function Pipeline() {
  const health = useAnswer("/health");
  const runs = useAnswer("/stats", { limit: 100 });
  return (
    <>
      <div class="head">
        <h1>Pipeline</h1>
      </div>
      <Panel title="From source to answer" answer={health} lines={8} empty="Nothing is known.">
        {(now) => (
          <>
            <Picture lag={now.lag ?? {}} />
            <Facts
              of={{
                PostgreSQL: (
                  <Badge tone={now.database.connected ? "good" : "bad"}>
                    {now.database.connected ? `${now.database.latency_ms} ms` : "away"}
                  </Badge>
                ),
                Kafka: (
                  <Badge tone={now.kafka.connected ? "good" : "bad"}>
                    {now.kafka.connected ? "connected" : "away"}
                  </Badge>
                ),
              }}
            />
          </>
        )}
      </Panel>
      <Panel title="The last hour" answer={runs} empty="Nothing ran in the last hour.">
        {(found) => {
          const hour = Date.now() - 3_600_000;
          const recent = found.filter((run) => Date.parse(run.requested_at ?? "") > hour);
          if (!recent.length) return null;
          const sum = (name: "records" | "inserted" | "updated" | "rejected") =>
            recent.reduce((whole, run) => whole + run[name], 0);
          const busy = recent.reduce((whole, run) => whole + (run.duration_seconds ?? 0), 0);
          return (
            <>
              <Hour runs={recent} now={Date.now()} />
              <Facts
                of={{
                  runs: count(recent.length),
                  records: count(sum("records")),
                  "records a second": busy ? count(Math.round(sum("records") / busy)) : "–",
                  inserted: count(sum("inserted")),
                  updated: count(sum("updated")),
                  rejected: count(sum("rejected")),
                }}
              />
            </>
          );
        }}
      </Panel>
    </>
  );
}
